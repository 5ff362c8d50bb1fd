"""Colours of the pictures: a scale for weights and the ink around it, by theme.

The scales are `oslo` and `grayC` of Fabio Crameri's Scientific colour maps 8 (MIT licence,
doi:10.5281/zenodo.1243862): perceptually uniform, so that equal steps of weight look equal, and
ordered by lightness alone, so that they read the same with any colour vision and in grey (Crameri,
Shephard & Heron 2020, Nature Communications 11:5444). Here stand every 16th of their 256 colours,
joined by straight lines in sRGB.
"""

from dataclasses import dataclass

from app.formats.aligned import Theme

OSLO = (
    *("#010101", "#0a121b", "#0e1e2e", "#112b44", "#15395b", "#1c4873", "#26578c", "#3767a6"),
    *("#507bbc", "#688cc7", "#7d99ca", "#90a5c9", "#a3b1ca", "#b8bfcd", "#cfd2d8", "#e8e9ea"),
    "#ffffff",
)
GRAY_C = (
    *("#000000", "#171717", "#262626", "#353535", "#444444", "#515151", "#5f5f5f", "#6b6b6b"),
    *("#777777", "#848484", "#919191", "#a0a0a0", "#b0b0b0", "#c1c1c1", "#d5d5d5", "#eaeaea"),
    "#ffffff",
)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme."""

    scale: tuple[str, ...]
    """From weight 0 to weight 1, evenly spaced; the first is that of an empty cell."""
    page: str
    ink: str
    muted: str
    """Captions and notes; at least 4.5:1 on the page, as WCAG 2.2 asks of text."""
    grid: str
    """Lines between cells."""
    mark_on_weak: str
    mark_on_strong: str

    def mark(self, weight: float) -> str:
        """The colour of a mark on a cell of `weight`: at least 3:1 on every colour of the scale."""
        return self.mark_on_strong if weight > 0.5 else self.mark_on_weak


PALETTES: dict[Theme, Palette] = {
    "light": Palette(
        scale=OSLO[::-1],
        page="#ffffff",
        ink="#1a1d21",
        muted="#5c646d",
        grid="#dfe3e8",
        mark_on_weak="#1a1d21",
        mark_on_strong="#ffffff",
    ),
    "dark": Palette(
        scale=OSLO,
        page="#14181d",
        ink="#e8eaed",
        muted="#9aa4af",
        grid="#2b323a",
        mark_on_weak="#ffffff",
        mark_on_strong="#14181d",
    ),
    "print": Palette(
        scale=GRAY_C[::-1],
        page="#ffffff",
        ink="#000000",
        muted="#555555",
        grid="#cccccc",
        mark_on_weak="#000000",
        mark_on_strong="#ffffff",
    ),
}


def colour(scale: tuple[str, ...], weight: float) -> str:
    """The colour of a weight; weights outside of [0, 1] get that of the nearer end."""
    place = min(1.0, max(0.0, weight)) * (len(scale) - 1)
    below = min(int(place), len(scale) - 2)
    share = place - below
    mixed = (
        round(low + share * (high - low))
        for low, high in zip(_channels(scale[below]), _channels(scale[below + 1]), strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
