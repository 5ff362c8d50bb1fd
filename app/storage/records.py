"""Stored translations. Every method takes their owner: there is no way to reach another one's."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, and_, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConflictError, StorageUnavailableError
from app.storage.clock import SECOND, Clock, utc_microseconds
from app.storage.cursors import CursorSigner, Position
from app.storage.database import Database
from app.storage.record import Record, RecordSummary, pack_record, unpack_record, unpack_summary
from app.storage.tables import idempotency_keys, records, service_secrets

ATTEMPTS = 3
"""To store something whose place is taken at each try, and free again when one looks who has it."""

IDEMPOTENCY_SECONDS = 24 * 3_600
RECORD_ID = re.compile(r"[A-Za-z0-9_-]{24}", re.ASCII)
"""What else is asked for cannot be an id, and PostgreSQL would not even take U+0000."""

ERASE_BATCH = 1_000
"""Most rows of one deleting transaction, so that none holds others up for long."""

SUMMARY_COLUMNS = (
    records.c.id,
    records.c.created_at,
    records.c.expires_at,
    records.c.model,
    records.c.source_lang,
    records.c.target_lang,
    records.c.sources,
)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """An `Idempotency-Key` with the body that it came with, as hashes: both are the caller's."""

    key_hash: str
    body_hash: str

    @classmethod
    def of(cls, key: str, body: str) -> "IdempotentRequest":
        """From the header's value and a canonical form of the body."""
        return cls(*(hashlib.sha256(part.encode()).hexdigest() for part in (key, body)))


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list, newest first."""

    records: tuple[RecordSummary, ...]
    next_cursor: str | None
    """Continues the list; None at its end."""


class Records:
    """The stored translations of all owners, one owner at a time."""

    def __init__(
        self,
        database: Database,
        signer: CursorSigner,
        max_record_bytes: int,
        clock: Clock = utc_microseconds,
    ) -> None:
        self._database = database
        self._signer = signer
        self._max_record_bytes = max_record_bytes
        self._clock = clock

    @classmethod
    async def open(
        cls, database: Database, max_record_bytes: int, clock: Clock = utc_microseconds
    ) -> "Records":
        """The repository on `database`, with the secret for cursors that all its replicas share."""

        async def cursor_secret(connection: AsyncConnection) -> bytes:
            wanted = select(service_secrets.c.value).where(service_secrets.c.name == "cursor")
            return bytes((await connection.execute(wanted)).scalar_one())

        signer = CursorSigner(await database.read(cursor_secret))
        return cls(database, signer, max_record_bytes, clock)

    async def add(
        self, owner: str, record: Record, request: IdempotentRequest | None = None
    ) -> Record:
        """Store `record`; when this returns, every replica can fetch it.

        Gives back `record`, or, where another request with the same key was stored first, its.

        Raises:
            RecordTooLargeError: it has more than `max_record_bytes` when compressed.
            ConflictError: the key was used for another body.
            StorageUnavailableError, StorageFullError: see `Database.write`.
        """
        row = await asyncio.to_thread(pack_record, record, self._max_record_bytes)

        async def insert_all(connection: AsyncConnection) -> None:
            if request is not None:
                await connection.execute(_delete_expired_key(owner, request, self._clock()))
            await connection.execute(insert(records).values(owner=owner, **row))
            if request is not None:
                key = _key_row(owner, record, request)
                await connection.execute(insert(idempotency_keys).values(key))

        for _ in range(ATTEMPTS):
            try:
                await self._database.write(insert_all)
            except IntegrityError:
                # Another request with this key was first; or our own commit succeeded and was tried
                # again because its answer had been lost.
                stored = await (
                    self.get(owner, record.id) if request is None else self.replay(owner, request)
                )
                if stored is not None:
                    return stored
                # What was in the way has been deleted or has expired since: there is room now.
            else:
                return record
        raise StorageUnavailableError(1)

    async def replay(self, owner: str, request: IdempotentRequest) -> Record | None:
        """What was stored for the same key in the last 24 hours.

        Raises:
            ConflictError: that was for another body.
        """
        now = self._clock()
        wanted = (
            select(records, idempotency_keys.c.body_hash)
            .join(idempotency_keys, idempotency_keys.c.record_id == records.c.id)
            .where(
                idempotency_keys.c.owner == owner,
                idempotency_keys.c.key_hash == request.key_hash,
                idempotency_keys.c.expires_at > now,
                records.c.owner == owner,
                records.c.expires_at > now,
            )
        )
        row = await self._first(wanted)
        if row is None:
            return None
        if row.body_hash != request.body_hash:
            raise ConflictError
        return await asyncio.to_thread(unpack_record, row)

    async def get(self, owner: str, record_id: str) -> Record | None:
        """The record, unless it is unknown, expired or another owner's: that looks the same."""
        if RECORD_ID.fullmatch(record_id) is None:
            return None
        wanted = select(records).where(*_own(owner, record_id, self._clock()))
        row = await self._first(wanted)
        return None if row is None else await asyncio.to_thread(unpack_record, row)

    async def page(
        self, owner: str, limit: int, cursor: str | None, filters: Mapping[str, str]
    ) -> Page:
        """At most `limit` records, newest first; `filters` are exact values of columns.

        What was stored before the first page was read is listed exactly once, whatever is added
        meanwhile.

        Raises:
            InvalidInputError: `bad_cursor`.
        """
        wanted = (
            select(*SUMMARY_COLUMNS)
            .where(records.c.owner == owner, records.c.expires_at > self._clock())
            .where(*(records.c[name] == value for name, value in sorted(filters.items())))
            .order_by(records.c.created_at.desc(), records.c.id.desc())
            .limit(limit + 1)
        )
        if cursor is not None:
            after = self._signer.read(owner, filters, cursor)
            same_time = and_(records.c.created_at == after.created_at, records.c.id < after.id)
            wanted = wanted.where(or_(records.c.created_at < after.created_at, same_time))
        rows = await self._all(wanted)
        summaries = tuple(unpack_summary(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(summaries, None)
        last = Position(summaries[-1].created_at, summaries[-1].id)
        return Page(summaries, self._signer.write(owner, filters, last))

    async def delete(self, owner: str, record_id: str) -> bool:
        """Delete the record; False where `get` would have found none."""
        if RECORD_ID.fullmatch(record_id) is None:
            return False
        unwanted = delete(records).where(*_own(owner, record_id, self._clock()))

        async def delete_it(connection: AsyncConnection) -> int:
            return (await connection.execute(unwanted)).rowcount

        return await self._database.write(delete_it) == 1

    async def erase(self, owner: str) -> int:
        """Delete everything of this owner that is stored by now; how many records that were."""
        until = self._clock()
        batch = (
            select(records.c.id)
            .where(records.c.owner == owner, records.c.created_at <= until)
            .limit(ERASE_BATCH)
        )
        unwanted = delete(records).where(records.c.id.in_(batch))

        async def delete_batch(connection: AsyncConnection) -> int:
            return (await connection.execute(unwanted)).rowcount

        erased = 0
        while batch_size := await self._database.write(delete_batch):
            erased += batch_size
        return erased

    async def _first(self, wanted: Select[Any]) -> Row[Any] | None:
        rows = await self._all(wanted)
        return rows[0] if rows else None

    async def _all(self, wanted: Select[Any]) -> Sequence[Row[Any]]:
        async def fetch(connection: AsyncConnection) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = (await connection.execute(wanted)).all()
            return rows

        return await self._database.read(fetch)


def _own(owner: str, record_id: str, now: int) -> tuple[Any, ...]:
    return records.c.owner == owner, records.c.id == record_id, records.c.expires_at > now


def _key_row(owner: str, record: Record, request: IdempotentRequest) -> dict[str, Any]:
    day_later = record.created_at + IDEMPOTENCY_SECONDS * SECOND
    return {
        "owner": owner,
        "key_hash": request.key_hash,
        "body_hash": request.body_hash,
        "record_id": record.id,
        "expires_at": min(day_later, record.expires_at),
    }


def _delete_expired_key(owner: str, request: IdempotentRequest, now: int) -> Any:  # noqa: ANN401
    return delete(idempotency_keys).where(
        idempotency_keys.c.owner == owner,
        idempotency_keys.c.key_hash == request.key_hash,
        idempotency_keys.c.expires_at <= now,
    )
