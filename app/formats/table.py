"""The forms of an alignment, and which of them a caller gets."""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app.errors import MatrixTooLargeError, NotAcceptableError
from app.formats.aligned import AlignedText, FormatOptions
from app.formats.arrays import npy, npz
from app.formats.interactive import interactive_html
from app.formats.json_document import json_document
from app.formats.pairs import azure_proj, pharaoh
from app.formats.png import png
from app.formats.svg import svg
from app.formats.tables import comma_separated, tab_separated
from app.formats.text_blocks import text_blocks

Writer = Callable[[AlignedText, FormatOptions], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """One form."""

    name: str
    """As in `?format=`; also the ending of a file, unless it has another."""
    media_type: str
    """As in `Accept`."""
    write: Writer
    is_text: bool = True
    """Text is UTF-8, and its content type says so."""
    is_dense: bool = True
    """True where it holds every weight, however small."""
    is_drawn: bool = False
    """True where a picture is drawn for it, which takes long."""
    other_ending: str | None = None

    @property
    def is_binary(self) -> bool:
        """True where a terminal cannot show it."""
        return self.media_type in ("image/png", "application/x-npy", "application/x-npz")

    @property
    def ending(self) -> str:
        """Of a file in this form, without its dot."""
        return self.other_ending or self.name

    @property
    def content_type(self) -> str:
        """The value of `Content-Type`."""
        return f"{self.media_type}; charset=utf-8" if self.is_text else self.media_type


FORMATS = (
    Format("json", "application/json", json_document, is_text=False),
    Format("blocks", "text/plain", text_blocks, other_ending="txt"),
    Format("csv", "text/csv", comma_separated),
    Format("tsv", "text/tab-separated-values", tab_separated),
    Format("pharaoh", "text/vnd.pharaoh", pharaoh, is_dense=False),
    Format("proj", "text/vnd.azure-proj", azure_proj, is_dense=False),
    Format("html", "text/html", interactive_html, is_drawn=True),
    Format("svg", "image/svg+xml", svg, is_text=False, is_drawn=True),
    Format("png", "image/png", png, is_text=False, is_drawn=True),
    Format("npy", "application/x-npy", npy, is_text=False),
    Format("npz", "application/x-npz", npz, is_text=False),
)
"""In the order in which they are preferred where a caller likes several equally."""

_BY_NAME = {one.name: one for one in FORMATS}
_BY_ENDING = {one.ending: one for one in FORMATS}
_BY_MEDIA_TYPE = {one.media_type: one for one in FORMATS}


def choose_format(name: str | None, accept: str | None) -> Format:
    """The form asked for by `name` or else by an `Accept` header (RFC 9110, 12.5.1), else JSON.

    A name is also the ending of a file. Raises NotAcceptableError, which lists the forms, where
    there is none.
    """
    if name is not None:
        found = _BY_NAME.get(name) or _BY_ENDING.get(name)
    else:
        ranges = parse_accept_header(accept or "*/*")
        # Parameters such as `charset` are no reason to refuse.
        accepted = MIMEAccept([(name.partition(";")[0], quality) for name, quality in ranges])
        found = _BY_MEDIA_TYPE.get(accepted.best_match(list(_BY_MEDIA_TYPE)) or "")
    if found is None:
        raise NotAcceptableError([f"{one.name} ({one.media_type})" for one in FORMATS])
    return found


def write(aligned: AlignedText, form: Format, options: FormatOptions, max_cells: int) -> bytes:
    """`aligned` in `form`; raises MatrixTooLargeError above `max_cells` weights in a dense form."""
    is_dense = form.is_dense and (form.name != "json" or options.alignment.form == "dense")
    if is_dense and aligned.cells > max_cells:
        raise MatrixTooLargeError(aligned.cells, max_cells)
    return form.write(aligned, options)
