"""Tokens as labels of a picture: what is drawn, in which direction, and how wide it is."""

import functools
import unicodedata
from collections.abc import Iterable
from importlib import resources

import regex
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from wcwidth import wcwidth

FONT_FILE = resources.files("app.formats") / "fonts" / "DejaVuSans.ttf"
"""Comes with the service: Latin, Greek, Cyrillic, Arabic, Hebrew and many more, but no CJK. Being a
wide font, it also measures labels that a browser sets in another font."""

FONT_FAMILIES = (
    "'DejaVu Sans', Verdana, 'Noto Sans', 'Noto Sans Arabic', 'Noto Sans Hebrew', "
    "'Noto Sans CJK JP', 'Noto Sans Thai', 'Noto Sans Devanagari', 'Noto Color Emoji', sans-serif"
)
"""Scripts that the first font lacks come from the fonts of the machine that draws."""

EMPTY = "∅"
"""Stands for a token without characters, as a piece can be."""

# Advance widths, in em, of what our font does not have: by cells of a terminal, generously. A CJK
# character is 1 em wide, Noto Color Emoji's are 1.245.
_OTHER_WIDTHS = (0.0, 0.75, 1.25)

_RIGHT_TO_LEFT_ISOLATE, _POP_ISOLATE = "\u2067", "\u2069"


def visible(text: str) -> str:
    """`text` with something to see for white space, controls and what XML 1.0 has no place for."""
    if not text:
        return EMPTY
    if text.isspace():
        return "".join("↵" if character in "\r\n" else "␣" for character in text)
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return " " if character in "\t\r\n" else chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    never_in_xml = code in (0xFFFE, 0xFFFF) or unicodedata.category(character) in ("Cc", "Cs")
    return "\ufffd" if never_in_xml else character


def is_right_to_left(texts: Iterable[str]) -> bool:
    """True where the first letter with a direction is one of a script from right to left."""
    for text in texts:
        for character in text:
            direction = unicodedata.bidirectional(character)
            if direction in ("L", "R", "AL"):
                return direction != "L"
    return False


def directed(label: str, *, right_to_left: bool) -> str:
    """`label` so that any renderer orders and mirrors it as its text does.

    SVG's `direction` attribute also moves the anchor, and rasterisers ignore it; the isolates of
    Unicode (UAX #9) only order the characters, everywhere.
    """
    if is_right_to_left([label]) or (right_to_left and not is_left_to_right(label)):
        return f"{_RIGHT_TO_LEFT_ISOLATE}{label}{_POP_ISOLATE}"
    return label


def is_left_to_right(text: str) -> bool:
    """True where a letter of a script from left to right stands in it."""
    return any(unicodedata.bidirectional(character) == "L" for character in text)


def text_width(text: str, font_size: float) -> float:
    """Width in units of `font_size`: as our font sets it, without kerning; never too small."""
    advances = _advances()
    return font_size * sum(_advance(character, advances) for character in text)


def _advance(character: str, advances: dict[int, float]) -> float:
    cells = max(0, wcwidth(character))
    known = advances.get(ord(character))
    return _OTHER_WIDTHS[cells] if known is None or cells != 1 else known


@functools.cache
def _advances() -> dict[int, float]:
    with resources.as_file(FONT_FILE) as path, TTFont(path, lazy=True) as font:
        em = font["head"].unitsPerEm
        widths = font["hmtx"].metrics
        return {code: widths[glyph][0] / em for code, glyph in font.getBestCmap().items()}


def clip(label: str, font_size: float, most: float) -> str:
    """`label`, cut between characters as readers see them (UAX #29) so that it and … fit `most`."""
    if text_width(label, font_size) <= most:
        return label
    room = most - text_width("…", font_size)
    kept = ""
    for cluster in regex.findall(r"\X", label):
        room -= text_width(cluster, font_size)
        if room < 0:
            break
        kept += cluster
    return kept + "…"
