"""Spans in the units in which a caller counts text."""

from collections.abc import Callable
from itertools import accumulate
from typing import Literal

OffsetEncoding = Literal["utf-32", "utf-16", "utf-8"]
"""`utf-32`: code points (Python); `utf-16`: code units (JavaScript, Java, C#); `utf-8`: bytes."""


def offset_converter(text: str, encoding: OffsetEncoding) -> Callable[[int], int]:
    """What turns an index in code points of `text` (0 to its length) into units of `encoding`."""
    if encoding == "utf-32" or text.isascii():
        return int
    width = _utf16_units if encoding == "utf-16" else _utf8_bytes
    offsets = list(accumulate((width(ord(character)) for character in text), initial=0))
    return offsets.__getitem__


def _utf16_units(code_point: int) -> int:
    return 1 + (code_point > 0xFFFF)


def _utf8_bytes(code_point: int) -> int:
    return 1 + (code_point > 0x7F) + (code_point > 0x7FF) + (code_point > 0xFFFF)
