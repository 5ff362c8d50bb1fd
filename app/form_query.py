"""What an address says about the form of an alignment."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.formats.aligned import FormatOptions, Theme
from app.formats.table import FORMATS
from app.schemas import AlignmentRequest, Form, Level
from model.alignment import AlignmentKind
from model.offsets import OffsetEncoding

_DEFAULTS = FormatOptions()
_ALIGNMENT = AlignmentRequest()
_NAMES = ", ".join(f"`{form.name}`" for form in FORMATS)


class FormQuery(BaseModel):
    """The form, and how it is laid out."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    format: str | None = Field(default=None, description=f"Instead of `Accept`: {_NAMES}.")
    theme: Theme = _DEFAULTS.theme
    """Colours of pictures and of the interactive page."""
    max_tokens: int = Field(default=_DEFAULTS.max_tokens, ge=1, le=200)
    """Most source and most target tokens of a segment in a picture."""
    width: int = Field(default=_DEFAULTS.width, ge=20, le=400)
    """Cells of a line of `blocks`."""

    def options(self, alignment: AlignmentRequest) -> FormatOptions:
        """With what the request says about the alignment itself."""
        return FormatOptions(
            alignment=alignment, theme=self.theme, max_tokens=self.max_tokens, width=self.width
        )


class AlignmentQuery(FormQuery):
    """Which alignment of a stored translation, and how it is told."""

    text: int | None = Field(default=None, ge=0)
    """Index of the text; may be left out where only one was translated."""
    hypothesis: int = Field(default=0, ge=0)
    """0 is the translation, 1 the first of its `alternatives`."""
    segment: int | None = Field(default=None, ge=0)
    """Index of one segment; by default all."""
    kind: AlignmentKind = "attention"
    """`attention`, or `head` where the model has an alignment head."""
    level: list[Level] = Field(default=["word"], min_length=1, max_length=2)
    """`word` or `piece`; both where it is given twice."""
    form: Form = "dense"
    """Of JSON: `dense`, `sparse` or `links`."""
    threshold: float | None = Field(default=None, gt=0.0, le=1.0)
    """As in a translation's `alignment.threshold`; also of pictures, `pharaoh` and `proj`."""
    precision: int = Field(default=_ALIGNMENT.precision, ge=1, le=9)
    """Decimals of weights."""
    offset_encoding: OffsetEncoding = _ALIGNMENT.offset_encoding
    """Unit of `start` and `end`."""

    @property
    def alignment(self) -> AlignmentRequest:
        """As the body of a translation would say it."""
        return AlignmentRequest(
            kind=self.kind,
            level=self.level,
            form=self.form,
            threshold=self.threshold,
            precision=self.precision,
            offset_encoding=self.offset_encoding,
        )


def forms_content() -> dict[int | str, dict[str, Any]]:
    """How the OpenAPI document tells of the forms beside JSON."""
    schemas = {
        form.media_type: {"schema": {"type": "string"}}
        if form.is_text or form.media_type == "image/svg+xml"
        else {"schema": {"type": "string", "format": "binary"}}
        for form in FORMATS[1:]
    }
    return {200: {"content": schemas}}
