"""Which source words made which target words: tokens, weights and links of one text.

Rows are target tokens and columns source tokens; spans are half-open and index the whole text and
the whole translation. docs/api.md, "Alignment semantics", has every rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from softalign.options import Kind, Level, LinkRule, OffsetEncoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Weights = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a piece, and where it stands in its text."""

    text: str
    start: int
    end: int
    log_prob: float | None = None
    """Natural logarithm of its probability; None on the source side."""


@dataclass(frozen=True, slots=True)
class Link:
    """A target token and a source token that it was made from."""

    source: Token
    target: Token
    weight: float
    source_index: int
    """Into `source_tokens` of the alignment, as `target_index` is into `target_tokens`."""
    target_index: int


@dataclass(frozen=True)
class SegmentAlignment:
    """The alignment of one sentence."""

    segment: int
    source_tokens: tuple[Token, ...]
    target_tokens: tuple[Token, ...]
    weights: Weights
    """`weights[target][source]`; a row and its `eos` add up to 1."""
    eos: tuple[float, ...]
    """What each target token put on the end of the source."""
    eos_row: tuple[float, ...] | None
    """The row of the target's end; None where the translation was cut off before it."""

    def linked(
        self, kind: Kind, rule: LinkRule, threshold: float | None
    ) -> Iterable[tuple[int, int]]:
        """Pairs of source and target index, as the service links them.

        By `weight`: the best of each target token, and all from `threshold` on; of the kind `head`,
        a token that weighs the source's end more than any source token has no best one. By
        `agreement`: those whose weight, over the root of its column's sum, reaches `threshold`.
        """
        if rule == "agreement" and threshold is not None:
            roots = [sum(column) ** 0.5 for column in zip(*self.weights, strict=True)]
            for target, row in enumerate(self.weights):
                for source, (weight, root) in enumerate(zip(row, roots, strict=True)):
                    if weight > 0 and weight >= threshold * root:
                        yield source, target
            return
        for target, (row, eos) in enumerate(zip(self.weights, self.eos, strict=True)):
            best = max(range(len(row)), key=row.__getitem__, default=-1)
            if best >= 0 and kind == "head" and eos > row[best]:
                best = -1
            for source, weight in enumerate(row):
                if source == best or (threshold is not None and weight >= threshold):
                    yield source, target


@dataclass(frozen=True)
class Alignment:
    """The alignment of a whole text with its translation."""

    kind: Kind
    level: Level
    offset_encoding: OffsetEncoding
    link_threshold: float | None
    """From which weight or agreement on pairs are links; None: only the best of each token."""
    segments: tuple[SegmentAlignment, ...]
    link_rule: LinkRule = "weight"
    """What links go by, as the service says it: `weight` or `agreement` of both sides."""

    @cached_property
    def source_tokens(self) -> tuple[Token, ...]:
        """The columns of `weights`: the source tokens of all segments."""
        return tuple(token for one in self.segments for token in one.source_tokens)

    @cached_property
    def target_tokens(self) -> tuple[Token, ...]:
        """The rows of `weights`: the target tokens of all segments."""
        return tuple(token for one in self.segments for token in one.target_tokens)

    @cached_property
    def weights(self) -> Weights:
        """`weights[target][source]` of the whole text.

        Sentences are translated independently of each other: between them all weights are 0.
        """
        columns, rows, before = len(self.source_tokens), [], 0
        for one in self.segments:
            after = columns - before - len(one.source_tokens)
            rows += [(0.0,) * before + row + (0.0,) * after for row in one.weights]
            before += len(one.source_tokens)
        return tuple(rows)

    @property
    def matrix(self) -> "NDArray[np.float64] | Weights":
        """`weights` as an array of numpy where that is installed, else as nested tuples."""
        return as_matrix(self.weights, len(self.source_tokens))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The links of the whole text, as the service gives them in its form `links`."""
        found, sources, targets = [], 0, 0
        for one in self.segments:
            for source, target in one.linked(self.kind, self.link_rule, self.link_threshold):
                found.append(
                    Link(
                        source=one.source_tokens[source],
                        target=one.target_tokens[target],
                        weight=one.weights[target][source],
                        source_index=sources + source,
                        target_index=targets + target,
                    )
                )
            sources += len(one.source_tokens)
            targets += len(one.target_tokens)
        return tuple(found)

    def targets_of(self, start: int, end: int) -> tuple[Token, ...]:
        """Target tokens that a link joins with what stands in the source from `start` to `end`."""
        inside = {link.target_index for link in self.links if _overlap(link.source, start, end)}
        return tuple(self.target_tokens[index] for index in sorted(inside))

    def sources_of(self, start: int, end: int) -> tuple[Token, ...]:
        """Source tokens that a link joins with what stands in the translation there."""
        inside = {link.source_index for link in self.links if _overlap(link.target, start, end)}
        return tuple(self.source_tokens[index] for index in sorted(inside))


def as_matrix(weights: Weights, columns: int) -> "NDArray[np.float64] | Weights":
    """`weights` as an array where numpy is installed; with its columns also where it has no row."""
    try:
        import numpy as np
    except ImportError:
        return weights
    return np.asarray(weights, dtype=np.float64).reshape(len(weights), columns)


def read_alignment(document: Mapping[str, Any]) -> Alignment:
    """The alignment that the service tells, in its form `dense` or `sparse`."""
    segments = document["segments"]
    return Alignment(
        kind=document["kind"],
        level=segments[0]["level"] if segments else "word",
        offset_encoding=document["offset_encoding"],
        link_threshold=document.get("link_threshold"),
        link_rule=document.get("link_rule", "weight"),
        segments=tuple(_read_segment(one) for one in segments),
    )


def _read_segment(document: Mapping[str, Any]) -> SegmentAlignment:
    row = document["eos"]["target_row"]
    return SegmentAlignment(
        segment=document["segment"],
        source_tokens=tuple(Token(**one) for one in document["source_tokens"]),
        target_tokens=tuple(Token(**one) for one in document["target_tokens"]),
        weights=_read_weights(document),
        eos=tuple(document["eos"]["source_mass"]),
        eos_row=None if row is None else tuple(row),
    )


def _read_weights(document: Mapping[str, Any]) -> Weights:
    if document["form"] == "dense":
        return tuple(tuple(row) for row in document["weights"])
    targets, sources = document["shape"]
    rows = [[0.0] * sources for _ in range(targets)]
    places: Sequence[tuple[int, int, float]] = list(
        zip(document["rows"], document["cols"], document["values"], strict=True)
    )
    for target, source, weight in places:
        rows[target][source] = weight
    return tuple(map(tuple, rows))


def _overlap(token: Token, start: int, end: int) -> bool:
    return token.start < end and start < token.end
