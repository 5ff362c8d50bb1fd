"""The SVG picture as PNG."""

import subprocess
import sys
from importlib import resources
from xml.etree import ElementTree

from app.errors import ServiceError
from app.formats.aligned import AlignedText, FormatOptions
from app.formats.labels import FONT_FILE
from app.formats.svg import draw

SCALE = 2
"""Pixels of the PNG for one of the SVG, so that it is sharp on a dense screen and on paper."""

MOST_PIXELS = 25_000_000
"""Four bytes each while it is drawn. Beyond, the scale goes down, to 1 at the least."""

MOST_SECONDS = 60
"""After which a rasteriser that does not come to an end is stopped."""

RASTERISER = resources.files("app.formats") / "rasterise.py"


class PictureTooLargeError(ServiceError):
    """The picture has more pixels than the service draws."""

    def __init__(self, pixels: int) -> None:
        super().__init__(
            "matrix_too_large",
            f"The picture would have {pixels} pixels and may have {MOST_PIXELS}. "
            "Ask for one `segment`, for fewer `max_tokens`, for svg, or for JSON in sparse form.",
        )


def png(aligned: AlignedText, options: FormatOptions, *, system_fonts: bool = True) -> bytes:
    """The picture of `app/formats/svg.py`, rasterised by resvg in a process of its own.

    What our own font lacks is drawn with `system_fonts`, and as empty boxes where those lack it.
    Blocks until it is drawn, so it is not for an event loop. Raises PictureTooLargeError above
    `MOST_PIXELS`, and subprocess.SubprocessError where the rasteriser fails, which no alignment
    should bring about.
    """
    root = draw(aligned, options)
    pixels = int(root.attrib["width"]) * int(root.attrib["height"])
    if pixels > MOST_PIXELS:
        raise PictureTooLargeError(pixels)
    scale = min(SCALE, (MOST_PIXELS / pixels) ** 0.5)
    with resources.as_file(FONT_FILE) as font, resources.as_file(RASTERISER) as program:
        fonts = "system-fonts" if system_fonts else "own-font"
        drawn: bytes = subprocess.run(  # noqa: S603 - our own program; the caller's text is only its input
            [sys.executable, "-I", str(program), str(scale), str(font), fonts],
            input=ElementTree.tostring(root, encoding="utf-8"),
            stdout=subprocess.PIPE,
            timeout=MOST_SECONDS,
            check=True,
        ).stdout
    return drawn
