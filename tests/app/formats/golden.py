"""Pictures that were looked at and are kept in tests/data/pictures.

After a change of the drawing, `python -m tests.app.formats.golden` writes them anew; look at them
before you commit them.
"""

from pathlib import Path

from app.formats.aligned import AlignedText, FormatOptions
from app.formats.png import png
from app.formats.svg import svg
from app.schemas import AlignmentRequest
from tests.app.formats import aligned_texts as texts

FOLDER = Path(__file__).parents[2] / "data" / "pictures"

PICTURES: dict[str, tuple[AlignedText, FormatOptions]] = {
    "small-light": (texts.SMALL, FormatOptions()),
    "small-dark": (texts.SMALL, FormatOptions(theme="dark")),
    "small-print": (
        texts.SMALL,
        FormatOptions(theme="print", alignment=AlignmentRequest(threshold=0.25)),
    ),
    "two-by-two": (texts.TINY, FormatOptions()),
    "two-segments": (texts.two_segments(), FormatOptions()),
    "arabic": (texts.ARABIC, FormatOptions()),
    "hebrew": (texts.HEBREW, FormatOptions(theme="dark")),
    "japanese": (texts.JAPANESE, FormatOptions()),
    "emoji": (texts.EMOJI, FormatOptions()),
    "long": (texts.LONG, FormatOptions(max_tokens=12)),
    "wide-words": (texts.WIDE_WORDS, FormatOptions(theme="print")),
    "empty": (texts.EMPTY, FormatOptions()),
}

RASTERISED = ("small-light", "small-dark", "small-print", "arabic", "long")
"""What the service's own font can draw, so that they look the same on every machine."""


def write_all() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (aligned, options) in PICTURES.items():
        (FOLDER / f"{name}.svg").write_bytes(svg(aligned, options))
        if name in RASTERISED:
            (FOLDER / f"{name}.png").write_bytes(png(aligned, options, system_fonts=False))


if __name__ == "__main__":
    write_all()
