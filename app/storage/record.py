"""One stored translation, and how it is packed into a row."""

import json
import secrets
import zlib
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Row

from app.errors import InvalidInputError
from app.storage.matrices import Matrix, pack_matrices, unpack_matrices

ID_BYTES = 18
"""144 random bits: an id cannot be guessed (OWASP ASVS 5.0, 11.5.1, asks for 128)."""

PREVIEW_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Record:
    """A translation as it was answered, and what pictures of its alignment are drawn from.

    Times are microseconds since 1970 in UTC.
    """

    id: str
    created_at: int
    expires_at: int
    model: str
    """`name@digest` of the weights that made it."""
    source_lang: str
    target_lang: str
    request: JsonValue
    """The options of the request."""
    sources: tuple[str, ...]
    """The caller's texts."""
    result: str
    """The response, byte for byte (JSON)."""
    layout: JsonValue
    """Which text, hypothesis and sentence each of `matrices` belongs to, and their pieces."""
    matrices: tuple[Matrix, ...]
    """Weights of the pieces, in half precision."""


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What a list shows of a record."""

    id: str
    created_at: int
    expires_at: int
    model: str
    source_lang: str
    target_lang: str
    texts: int
    preview: str
    """The beginning of the first text."""


class RecordTooLargeError(InvalidInputError):
    """The record has more bytes than a record may have."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            "record_too_large",
            f"The result takes {size} bytes and a stored one may take {limit}. Send less text, ask "
            "for fewer alternatives or for `links`, or do not store it: `store: false`.",
        )


def new_record_id() -> str:
    """A new id; 24 characters that are safe in a URL."""
    return secrets.token_urlsafe(ID_BYTES)


def pack_record(record: Record, max_bytes: int) -> dict[str, Any]:
    """The columns of `record`, without its owner; raises RecordTooLargeError."""
    packed = {
        "request": _pack_json(record.request),
        "sources": _pack_json(list(record.sources)),
        "result": zlib.compress(record.result.encode()),
        "layout": _pack_json(record.layout),
        "matrices": pack_matrices(record.matrices),
    }
    size = sum(len(part) for part in packed.values())
    if size > max_bytes:
        raise RecordTooLargeError(size, max_bytes)
    return {
        "id": record.id,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "model": record.model,
        "source_lang": record.source_lang,
        "target_lang": record.target_lang,
        **packed,
    }


def unpack_record(row: Row[Any]) -> Record:
    """The record of a row that `pack_record` made."""
    return Record(
        id=row.id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        model=row.model,
        source_lang=row.source_lang,
        target_lang=row.target_lang,
        request=_unpack_json(row.request),
        sources=tuple(_unpack_json(row.sources)),
        result=zlib.decompress(row.result).decode(),
        layout=_unpack_json(row.layout),
        matrices=unpack_matrices(row.matrices),
    )


def unpack_summary(row: Row[Any]) -> RecordSummary:
    """What a list shows of a row."""
    sources = _unpack_json(row.sources)
    return RecordSummary(
        id=row.id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        model=row.model,
        source_lang=row.source_lang,
        target_lang=row.target_lang,
        texts=len(sources),
        preview=sources[0][:PREVIEW_CHARACTERS],
    )


def _pack_json(value: JsonValue) -> bytes:
    # In ASCII: half a surrogate pair, should one come so far, has no UTF-8.
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"))


def _unpack_json(packed: bytes) -> Any:  # noqa: ANN401 - as json.loads
    return json.loads(zlib.decompress(packed))
