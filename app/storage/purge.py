"""Deletes what has expired. No reader waits for it: every read already leaves out what has."""

import asyncio
import logging
import time

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ServiceError
from app.storage.clock import SECOND, Clock, utc_microseconds
from app.storage.database import Database
from app.storage.tables import idempotency_keys, records

log = logging.getLogger(__name__)

PURGE_BATCH = 1_000
"""Most rows of one transaction."""

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
    """Delete all that expired before `now`, in small transactions; how many records that were."""
    expired = select(records.c.id).where(records.c.expires_at <= now).limit(PURGE_BATCH)
    unwanted = delete(records).where(records.c.id.in_(expired))
    keys = delete(idempotency_keys).where(idempotency_keys.c.expires_at <= now)

    async def purge_batch(connection: AsyncConnection) -> int:
        if not database.is_sqlite:
            lock = text(f"SELECT pg_try_advisory_xact_lock({PURGE_LOCK})")
            if not (await connection.execute(lock)).scalar_one():
                return 0
        await connection.execute(keys)
        return (await connection.execute(unwanted)).rowcount

    purged = 0
    while batch_size := await database.write(purge_batch):
        purged += batch_size
    return purged
