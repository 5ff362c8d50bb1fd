"""Offsets into a text, in the unit that the caller's language counts strings in."""

from collections.abc import Callable
from itertools import accumulate
from typing import Literal

OffsetEncoding = Literal["utf-32", "utf-16", "utf-8"]


def offset_converter(text: str, encoding: OffsetEncoding) -> Callable[[int], int]:
    """A function from an index in code points of `text` (0 to its length) to one in `encoding`."""
    if encoding == "utf-32" or text.isascii():
        return int
    width = _utf16_units if encoding == "utf-16" else _utf8_bytes
    starts = list(accumulate(map(width, text), initial=0))
    return starts.__getitem__


def _utf16_units(letter: str) -> int:
    return 2 if letter > "\uffff" else 1


def _utf8_bytes(letter: str) -> int:
    if letter < "\x80":
        return 1
    if letter < "\u0800":
        return 2
    return 3 if letter <= "\uffff" else 4
