"""Word links as text: the `source-target` pairs of Pharaoh, zero-based, one sentence a line."""

import re
from collections.abc import Iterable

from model.alignment import GoldLinks, Pair

_LINK = re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


def to_pharaoh(pairs: Iterable[Pair]) -> str:
    """`0-0 1-2 …`, each pair once, ordered by source, then target."""
    return " ".join(f"{source}-{target}" for source, target in sorted(set(pairs)))


def from_pharaoh(line: str) -> GoldLinks:
    """Read `i-j` (sure) and `ipj` (possible only) links; ValueError names what is neither."""
    sure: set[Pair] = set()
    possible: set[Pair] = set()
    for number, written in enumerate(line.split(), start=1):
        match = _LINK.fullmatch(written)
        if match is None:
            raise ValueError(
                f"link {number} is {written[:40]!r}; expected source-target, zero-based, "
                "such as 0-1, or 0p1 for a possible link"
            )
        pair = (int(match[1]), int(match[3]))
        possible.add(pair)
        if match[2] == "-":
            sure.add(pair)
    return GoldLinks(frozenset(sure), frozenset(possible))
