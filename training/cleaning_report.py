"""The account of a corpus: every pair that was read is either kept or dropped for one reason."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

REASONS = {
    "bad_utf8": "not valid UTF-8",
    "no_target": "no second column",
    "line_too_long": "line longer than the reader's limit",
    "empty": "a side is empty or white space",
    "too_long": "a side exceeds max_characters",
    "ratio": "lengths differ by more than max_ratio",
    "identical": "both sides are equal",
    "duplicate": "the same pair came before",
    "too_many_pieces": "a side exceeds max_pieces",
}
"""Every reason for which a pair is dropped, in the order in which it is looked for."""


@dataclass(slots=True)
class CleaningReport:
    """Counts what a pass over a corpus did; `read == kept + sum(dropped.values())` at its end."""

    read: int = 0
    """Pairs (lines) seen."""
    kept: int = 0
    """Pairs that went on."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Pairs that did not, by reason (a key of `REASONS`)."""
    added: int = 0
    """Pairs that were made of those that went on, with made-up names, and go on beside them."""
    repeated: int = 0
    """Times that pairs with rare names go on once more."""

    def drop(self, reason: str) -> None:
        """Count one pair as dropped; KeyError if the reason is not one of `REASONS`."""
        if reason not in REASONS:
            raise KeyError(reason)
        self.dropped[reason] += 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a JSON manifest."""
        counts = {"read": self.read, "kept": self.kept, "dropped": dict(self.dropped)}
        return counts | {"added": self.added, "repeated": self.repeated}

    def table(self, title: str) -> Table:
        """The account as a table; reasons that dropped nothing are left out."""
        table = Table(title=title, title_justify="left", show_footer=True)
        table.add_column("pairs", footer="kept")
        table.add_column("count", justify="right", footer=f"{self.kept:,}")
        table.add_column("share", justify="right", footer=self._share(self.kept))
        table.add_row("read", f"{self.read:,}", self._share(self.read))
        for reason, meaning in REASONS.items():
            if count := self.dropped[reason]:
                table.add_row(f"dropped: {meaning}", f"{count:,}", self._share(count))
        if self.added:
            table.add_row("added: with made-up names", f"{self.added:,}", self._share(self.added))
        if self.repeated:
            share = self._share(self.repeated)
            table.add_row("added: again, for rare names", f"{self.repeated:,}", share)
        return table

    def _share(self, count: int) -> str:
        return f"{count / max(self.read, 1):.2%}"
