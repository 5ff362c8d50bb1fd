"""The connection to the database: transactions with a limit of time, faults as service errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import stamina
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.breaker import Breaker
from app.errors import StorageUnavailableError
from app.settings import Settings
from app.storage.address import DatabaseAddress, database_address
from app.storage.faults import TransientError, is_lost, is_transient, service_error
from app.storage.migration import prepare_database
from app.storage.transactions import WRITES, start_transactions_ourselves

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
"""What is done in one transaction. It may run again from the start, so it changes nothing else."""

ATTEMPTS = 3
AWAY_SECONDS = 1.0
"""After the database was away, nobody waits for it again for so long."""

GRACE_SECONDS = 0.2
"""A server that works ends a statement itself; only one that is away lets the driver wait on."""

SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a commit that was answered is there after a power loss
    "secure_delete=ON",  # what was deleted is overwritten
    "foreign_keys=ON",
)


class Database:
    """All transactions of this process on one database."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._retry_after = settings.retry_after_seconds
        self._seconds = settings.database_statement_seconds + settings.database_pool_seconds
        self._breaker = Breaker(AWAY_SECONDS)
        self._abandoned: set[asyncio.Task[Any]] = set()
        # SQLite has one writer. Its own way of waiting is to sleep and try, which is not fair.
        self._turn = asyncio.Lock() if self.is_sqlite else None

    @classmethod
    async def open(cls, settings: Settings) -> "Database":
        """Check and upgrade the database that the settings name, and connect to it.

        Raises:
            StorageStartupError: it cannot be used.
        """
        address = database_address(settings)
        await prepare_database(address)
        return cls(_engine(address, settings), settings)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file that only this machine reads."""
        return self._engine.dialect.name == "sqlite"

    @property
    def is_away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return self._breaker.is_open

    async def close(self) -> None:
        """Wait for what was abandoned, and close all connections."""
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=self._seconds)
        await self._engine.dispose()

    async def read(self, work: Work[T]) -> T:
        """Do `work` in a transaction that only reads.

        Raises:
            StorageUnavailableError: the database did not answer in time, or not at all.
        """
        return await self._within_limits(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """Do `work` in a transaction and commit it: after this, every replica sees it.

        Raises:
            StorageUnavailableError, StorageFullError: nothing was stored, or (where the answer to
                the commit was lost) it is not known.
            IntegrityError: a row of the same identity exists.
        """
        return await self._within_limits(work, writes=True)

    async def ping(self) -> None:
        """Raise StorageUnavailableError unless the database answers."""

        async def select_one(connection: AsyncConnection) -> None:
            await connection.execute(text("SELECT 1"))

        await self.read(select_one)

    async def _within_limits(self, work: Work[T], *, writes: bool) -> T:
        """Wait for the transaction, never longer than the limit: its clean-up is left behind."""
        if not self._breaker.allows():
            raise StorageUnavailableError(self._retry_after)
        task = asyncio.ensure_future(self._with_retries(work, writes=writes))
        try:
            await asyncio.wait({task}, timeout=self._seconds)
        finally:
            if not task.done():
                self._abandon(task)
        if not task.done():
            if not self.is_sqlite:  # a file is never away, only busy
                self._breaker.failed()
            raise StorageUnavailableError(self._retry_after)
        return self._outcome(task)

    def _outcome(self, task: "asyncio.Task[T]") -> T:
        try:
            outcome = task.result()
        except IntegrityError:
            self._breaker.succeeded()
            raise
        except Exception as error:
            if is_lost(error):
                self._breaker.failed()
            told = service_error(error, self._retry_after)
            if told is None:
                raise
            raise told from error
        self._breaker.succeeded()
        return outcome

    def _abandon(self, task: "asyncio.Task[Any]") -> None:
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as forgotten

    async def _with_retries(self, work: Work[T], *, writes: bool) -> T:
        async for attempt in stamina.retry_context(
            on=TransientError, attempts=ATTEMPTS, timeout=None, wait_initial=0.02, wait_max=0.2
        ):
            with attempt:
                try:
                    return await self._transact(work, writes=writes)
                except DBAPIError as error:
                    if is_transient(error):
                        raise TransientError from error
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _transact(self, work: Work[T], *, writes: bool) -> T:
        async with self._own_turn(writes=writes), self._engine.connect() as connection:
            marked = await connection.execution_options(**{WRITES: writes})
            async with marked.begin():
                return await work(marked)

    @contextlib.asynccontextmanager
    async def _own_turn(self, *, writes: bool) -> AsyncIterator[None]:
        if self._turn is None or not writes:
            yield
            return
        async with self._turn:
            yield


def _engine(address: DatabaseAddress, settings: Settings) -> AsyncEngine:
    seconds = settings.database_statement_seconds
    pool = {
        "pool_size": settings.database_pool_size,
        "pool_timeout": settings.database_pool_seconds,
    }
    if address.file is not None:
        # `timeout`: how long a statement waits for a lock, in a thread of its own.
        engine = create_async_engine(address.url, connect_args={"timeout": seconds}, **pool)
        start_transactions_ourselves(engine.sync_engine)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        return engine
    milliseconds = str(round(seconds * 1000))
    arguments = {
        "timeout": seconds,
        "command_timeout": seconds + GRACE_SECONDS,
        "server_settings": {
            "application_name": "softalign",
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        },
    }
    return create_async_engine(
        address.url, connect_args=arguments, pool_pre_ping=True, max_overflow=0, **pool
    )


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - a driver's own type
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
