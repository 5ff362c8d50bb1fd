"""The SVG picture as PNG."""

from importlib import resources
from xml.etree import ElementTree

import resvg_py

from app.errors import ServiceError
from app.formats.aligned import AlignedText, FormatOptions
from app.formats.labels import FONT_FILE
from app.formats.svg import draw

SCALE = 2
"""Pixels of the PNG for one of the SVG, so that it is sharp on a dense screen and on paper."""

MOST_PIXELS = 25_000_000
"""Four bytes each while it is drawn. Beyond, the scale goes down, to 1 at the least."""


class PictureTooLargeError(ServiceError):
    """The picture has more pixels than the service draws."""

    def __init__(self, pixels: int) -> None:
        super().__init__(
            "matrix_too_large",
            f"The picture would have {pixels} pixels and may have {MOST_PIXELS}. "
            "Ask for one `segment`, for fewer `max_tokens`, for svg, or for JSON in sparse form.",
        )


def png(aligned: AlignedText, options: FormatOptions, *, system_fonts: bool = True) -> bytes:
    """The picture of `app/formats/svg.py`, rasterised by resvg; PictureTooLargeError above
    `MOST_PIXELS`.

    What our own font lacks is drawn with `system_fonts`, and as empty boxes where those lack it.
    """
    root = draw(aligned, options)
    pixels = int(root.attrib["width"]) * int(root.attrib["height"])
    if pixels > MOST_PIXELS:
        raise PictureTooLargeError(pixels)
    scale = min(SCALE, (MOST_PIXELS / pixels) ** 0.5)
    with resources.as_file(FONT_FILE) as font:
        return resvg_py.svg_to_bytes(
            svg_string=ElementTree.tostring(root, encoding="unicode"),
            zoom=scale,
            skip_system_fonts=not system_fonts,
            font_files=[str(font)],
        )
