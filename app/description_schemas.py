"""What the service says of itself: limits, models, languages, health."""

from typing import Literal

from pydantic import JsonValue

from app.schemas import ReplyModel
from model.alignment import AlignmentKind


class LimitsReply(ReplyModel):
    """The limits of this service; each is a setting of the same name."""

    max_body_bytes: int
    max_header_bytes: int
    max_header_fields: int
    max_target_bytes: int
    max_connections: int
    max_connections_per_address: int
    header_seconds: float
    body_seconds: float
    send_seconds: float
    keep_alive_seconds: int
    max_json_depth: int
    max_texts: int
    max_text_characters: int
    max_text_tokens: int
    max_request_tokens: int
    max_sentence_tokens: int
    max_beam_size: int
    max_output_tokens: int
    max_matrix_cells: int
    max_pending_sentences: int
    max_pending_tokens: int
    max_caller_share: float
    max_wait_seconds: float
    deadline_seconds: float
    record_ttl_seconds: int
    max_record_bytes: int
    max_page_size: int
    key_requests_per_minute: int
    key_requests_per_second: int
    key_tokens_per_minute: int
    address_requests_per_minute: int


class AlignmentKindReply(ReplyModel):
    """How good the alignments of one kind are."""

    kind: AlignmentKind
    aer: float | None
    """Error against links that people made, in percent, as measured after training; null where it
    was not measured."""
    threshold: float | None
    """Weight from which on `links` of this kind begin where a request names none; null: only the
    best of each target token."""


class ModelReply(ReplyModel):
    """One model that is loaded."""

    name: str
    digest: str
    """SHA-256 of the manifest, which holds the SHA-256 of every file."""
    source_lang: str
    target_lang: str
    alignment_kinds: list[AlignmentKind]
    """Kinds of alignment that it gives; empty for a network without attention."""
    alignments: list[AlignmentKindReply]
    """The same kinds, with how good they are."""
    config: dict[str, JsonValue]
    """Every field that fixes the network's shapes."""
    training: dict[str, JsonValue]
    """Where the weights come from: data, recipe, code."""
    metrics: dict[str, JsonValue]
    """Its scores, as measured when it was trained."""


class ModelsReply(ReplyModel):
    """The models that are loaded."""

    models: list[ModelReply]


class LanguageReply(ReplyModel):
    """A source language and what it can be translated into."""

    code: str
    targets: list[str]


class LanguagesReply(ReplyModel):
    """The languages of all models."""

    languages: list[LanguageReply]
    detection: bool
    """Whether `source_lang` can be left out where several languages are translated: it is then
    detected among them."""


class HealthReply(ReplyModel):
    """Answer of a health check."""

    status: Literal["ok"] = "ok"
