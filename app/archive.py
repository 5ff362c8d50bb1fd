"""Translates and keeps the answer: an id in an answer is committed, and every replica has it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from app.authentication import Caller
from app.errors import (
    FieldError,
    InvalidInputError,
    ServiceError,
    StorageFullError,
    StorageUnavailableError,
)
from app.gate import Gate
from app.reply_schemas import RecordReply, TranslateReply
from app.request_log import Facts
from app.schemas import TranslateRequest
from app.service import Service, TranslateAnswer
from app.storage.clock import SECOND, Clock, rfc3339, utc_microseconds
from app.storage.record import Record, RecordTooLargeError, new_record_id
from app.storage.records import IdempotentRequest
from app.storage.storage import Storage
from app.stored_translation import describe
from app.translator import Watch

SHARED_TTL_SECONDS = 86_400
"""Longest life of a record of callers who have no key, and so nobody to delete it for them."""


@dataclass(frozen=True, slots=True)
class ArchivedAnswer:
    """A response body as JSON, and what its headers say."""

    content: str
    model: str
    record_id: str | None
    """None where it was not stored."""
    is_replayed: bool
    """Whether it is the stored answer to an earlier request."""
    timings: Mapping[str, float]
    facts: Facts
    """What the log may tell of it."""


class Archive:
    """Answers requests to translate, and stores what was asked to be stored."""

    def __init__(
        self, service: Service, storage: Storage, gate: Gate, clock: Clock = utc_microseconds
    ) -> None:
        self._service = service
        self._storage = storage
        self._gate = gate
        self._clock = clock

    async def translate(
        self,
        caller: Caller,
        request: TranslateRequest,
        key: str | None,
        watch: Watch | None = None,
    ) -> ArchivedAnswer:
        """Answer `request`, or give the stored answer where `key` came with it before.

        `watch` is told of every step of the translation, if there is one.

        Raises:
            InvalidInputError: there is a key, and nothing is to be stored.
            ConflictError: the key came with another request.
            StorageUnavailableError, StorageFullError, RecordTooLargeError: it was to be stored and
                could not be; with `store: "best_effort"` that is no error.
            ServiceError: everything that `Service.translate` raises.
        """
        record_id = new_record_id() if self._is_to_be_stored(request) else None
        repeated = _idempotent(request, key, is_stored=record_id is not None)
        if record_id is not None:
            found = await self._look_before(caller, request, repeated)
            if found is not None:
                return _replayed(found)
        created_at = self._clock()
        expires_at = created_at + self._ttl(caller, request) * SECOND
        receipt = None
        if record_id is not None:
            receipt = RecordReply(
                id=record_id, created_at=rfc3339(created_at), expires_at=rfc3339(expires_at)
            )
        answer = await self._service.translate(request, receipt, caller.identity, watch)
        await self._gate.charge(caller, answer.tokens)
        if record_id is None:
            return _answer(answer, answer.content, None)
        record = await asyncio.to_thread(
            _record, request, answer, (record_id, created_at, expires_at)
        )
        try:
            stored = await self._storage.records.add(caller.owner, record, repeated)
        except (StorageUnavailableError, StorageFullError, RecordTooLargeError):
            if request.store != "best_effort":
                raise
            content = await asyncio.to_thread(_without_record, answer.content)
            return _answer(answer, content, None)
        if stored.id != record_id:
            return _replayed(stored)
        return _answer(answer, answer.content, record_id)

    def _is_to_be_stored(self, request: TranslateRequest) -> bool:
        return request.store is not False and self._service.settings.record_ttl_seconds > 0

    def _ttl(self, caller: Caller, request: TranslateRequest) -> int:
        """Seconds; what is asked for can only shorten it."""
        most = self._service.settings.record_ttl_seconds
        if caller.is_shared:
            most = min(most, SHARED_TTL_SECONDS)
        return most if request.ttl is None else min(most, request.ttl)

    async def _look_before(
        self, caller: Caller, request: TranslateRequest, repeated: IdempotentRequest | None
    ) -> Record | None:
        """The stored answer, before any work; an error where storing is sure to fail."""
        try:
            if repeated is not None:
                return await self._storage.records.replay(caller.owner, repeated)
            if self._storage.database.is_away:
                await self._storage.database.ping()
        except StorageUnavailableError:
            if request.store != "best_effort":
                raise
        return None


def _idempotent(
    request: TranslateRequest, key: str | None, *, is_stored: bool
) -> IdempotentRequest | None:
    if key is None:
        return None
    if not is_stored:
        message = "An Idempotency-Key needs a stored answer: leave `store` on, or the key out."
        raise InvalidInputError.of([FieldError("/store", "validation_failed", message)])
    return IdempotentRequest.of(key, request.model_dump_json())


def _record(
    request: TranslateRequest, answer: TranslateAnswer, identity: tuple[str, int, int]
) -> Record:
    record_id, created_at, expires_at = identity
    layout, matrices = describe(answer.translations)
    options = json.loads(request.model_dump_json(exclude={"text"}))
    return Record(
        id=record_id,
        created_at=created_at,
        expires_at=expires_at,
        model=answer.model,
        source_lang=answer.source_lang,
        target_lang=answer.target_lang,
        request=options,
        sources=tuple(request.texts),
        result=answer.content,
        layout=layout.model_dump(mode="json"),
        matrices=matrices,
    )


def _without_record(content: str) -> str:
    reply = TranslateReply.model_validate_json(content)
    return reply.model_copy(update={"id": None, "record": None}).model_dump_json()


def _answer(answer: TranslateAnswer, content: str, record_id: str | None) -> ArchivedAnswer:
    return ArchivedAnswer(
        content,
        answer.model,
        record_id,
        is_replayed=False,
        timings=answer.timings,
        facts=answer.facts,
    )


def _replayed(record: Record) -> ArchivedAnswer:
    return ArchivedAnswer(
        record.result,
        record.model,
        record.id,
        is_replayed=True,
        timings={},
        facts={"model": record.model},
    )


def not_found() -> ServiceError:
    """The one answer for a record that is unknown, expired or of another owner."""
    return ServiceError("not_found", "There is no such translation, or it has expired.")
