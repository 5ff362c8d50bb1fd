"""What goes over the wire about stored translations."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.schemas import ReplyModel

LanguageFilter = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{2,35}$")]


class ListQuery(BaseModel):
    """Which part of the list."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    limit: int = Field(default=20, ge=1, le=1_000)
    """Most translations of this page."""
    cursor: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """`next_cursor` of the page before."""
    source_lang: LanguageFilter | None = None
    """Only translations from this language."""
    target_lang: LanguageFilter | None = None
    """Only translations into this language."""

    @property
    def filters(self) -> dict[str, str]:
        """The filters that were asked for."""
        asked = {"source_lang": self.source_lang, "target_lang": self.target_lang}
        return {name: value for name, value in asked.items() if value is not None}


class EraseQuery(BaseModel):
    """That everything is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    all: Literal["true"]
    """Must be `true`, so that an id that got lost on the way does not erase everything."""


class RecordSummaryReply(ReplyModel):
    """A stored translation, as the list shows it."""

    id: str
    created_at: str
    """UTC, RFC 3339."""
    expires_at: str
    model: str
    """`name@digest` of the model that made it."""
    source_lang: str
    target_lang: str
    texts: int
    """How many texts it has."""
    preview: str
    """The first 80 characters of the first one."""


class RecordsReply(ReplyModel):
    """A page of the list, newest first."""

    translations: list[RecordSummaryReply]
    next_cursor: str | None
    """Continues the list; null at its end."""


class ErasedReply(ReplyModel):
    """What was erased."""

    erased: int
    """Translations that were deleted."""
