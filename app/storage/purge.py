"""Deletes what has expired. No reader waits for it: every read already leaves out what has."""

import asyncio
import logging
import time

from sqlalchemy import delete, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ServiceError
from app.storage.clock import SECOND, Clock, utc_microseconds
from app.storage.database import Database, Work
from app.storage.tables import idempotency_keys, records

log = logging.getLogger(__name__)

PURGE_BATCH = 1_000
"""Most rows of one transaction."""

SMALLEST_BATCH = 100
"""Below, a transaction takes hardly less time: most of it is the write to the disk."""

TURN_SECONDS = 0.01
"""What one transaction should take."""

REST = 4
"""Times as long as it took, nothing is purged."""

MOST_REST_SECONDS = 1.0

PURGE_LOCK = 0x50F7A11A
"""Number of PostgreSQL's advisory lock: one replica purges at a time."""

LARGEST_JUMP_SECONDS = 3_600
"""A wall clock that ran so far ahead of the monotonic one was set, perhaps wrongly."""


class Purger:
    """Purges every `seconds` in the background, from `start` to `stop`."""

    def __init__(self, database: Database, seconds: int, clock: Clock = utc_microseconds) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the first round."""
        self._task = asyncio.create_task(self._run(), name="purge")

    async def stop(self) -> None:
        """End after the transaction that is running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        trusted, jumped_at = self._ahead(), None
        while True:
            jump = self._ahead() - trusted
            if jump <= LARGEST_JUMP_SECONDS:
                trusted, jumped_at = trusted + jump, None
                await self._round()
            elif jumped_at is None:
                jumped_at = time.monotonic()
                log.error("the clock jumped ahead by %d s: nothing is purged for an hour", jump)
            elif time.monotonic() - jumped_at > LARGEST_JUMP_SECONDS:
                trusted += jump  # an operator had the time to notice
            await asyncio.sleep(self._seconds)

    def _ahead(self) -> float:
        return self._clock() / SECOND - time.monotonic()

    async def _round(self) -> None:
        try:
            await purge_expired(self._database, self._clock())
        except ServiceError as error:
            log.warning("nothing is purged in this round: %s", error.code)
        except Exception as error:  # noqa: BLE001 - the next round may succeed
            log.error("a round of purging failed with %s", type(error).__name__)  # noqa: TRY400


async def purge_expired(database: Database, now: int) -> int:
    """Delete all that expired before `now`, in small transactions; how many records that were.

    SQLite has one writer, so whoever stores something waits for the transaction at hand: each is
    made to take about `TURN_SECONDS`, and between two of them others have their turn.
    """
    size, purged = min(SMALLEST_BATCH, PURGE_BATCH), 0
    while True:
        began = time.monotonic()
        keys, rows = await database.tidy(_batch(database, now, size))
        seconds = time.monotonic() - began
        if keys == rows == 0:
            return purged
        purged += rows
        if seconds > TURN_SECONDS:
            size = min(max(SMALLEST_BATCH, size // 2), PURGE_BATCH)
        elif seconds < TURN_SECONDS / 2:
            size = min(2 * size, PURGE_BATCH)
        await asyncio.sleep(min(REST * seconds, MOST_REST_SECONDS))


def _batch(database: Database, now: int, size: int) -> Work[tuple[int, int]]:
    """Deletes so many keys and so many records, at most; gives how many it were."""
    expired = select(records.c.id).where(records.c.expires_at <= now).limit(size)
    key = tuple_(idempotency_keys.c.owner, idempotency_keys.c.key_hash)
    old = select(*key.clauses).where(idempotency_keys.c.expires_at <= now).limit(size)

    async def purge(connection: AsyncConnection) -> tuple[int, int]:
        if not database.is_sqlite:
            lock = text(f"SELECT pg_try_advisory_xact_lock({PURGE_LOCK})")
            if not (await connection.execute(lock)).scalar_one():
                return 0, 0
        keys = await connection.execute(delete(idempotency_keys).where(key.in_(old)))
        rows = await connection.execute(delete(records).where(records.c.id.in_(expired)))
        return keys.rowcount, rows.rowcount

    return purge
