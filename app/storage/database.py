"""The connection to the database: transactions with a limit of time, faults as service errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
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
from app.storage.sqlite_threads import SqliteThreads
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
TIDY_PRAGMAS = (
    *(one for one in SQLITE_PRAGMAS if not one.startswith("synchronous")),
    "synchronous=NORMAL",  # a commit does not wait for the disk; the next one that does takes it in
    "wal_autocheckpoint=0",  # `tidy` does that when nobody waits for it
)
"""For what may be undone by a power loss, since it is done again."""


class Database:
    """All transactions of this process on one database."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        tidying: AsyncEngine | None = None,
        threads: SqliteThreads | None = None,
    ) -> None:
        self._engine = engine
        self._tidying = tidying or engine
        self._threads = threads
        self._retry_after = settings.retry_after_seconds
        self._seconds = settings.database_statement_seconds + settings.database_pool_seconds
        self._breaker = Breaker(AWAY_SECONDS)
        self._running: set[asyncio.Task[Any]] = set()
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
        if address.file is None:
            return cls(_server_engine(address, settings), settings)
        threads = SqliteThreads()
        engine = _sqlite_engine(
            address, settings, SQLITE_PRAGMAS, settings.database_pool_size, threads
        )
        tidying = _sqlite_engine(address, settings, TIDY_PRAGMAS, 1, threads)
        return cls(engine, settings, tidying, threads)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file that only this machine reads."""
        return self._engine.dialect.name == "sqlite"

    @property
    def is_away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return self._breaker.is_open

    async def close(self) -> None:
        """Wait for what still runs, also for nobody any more, and close all connections."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._seconds)
        await self._engine.dispose()
        await self._tidying.dispose()
        if self._threads is not None:
            await self._threads.ended(self._seconds)

    async def read(self, work: Work[T]) -> T:
        """Do `work` in a transaction that only reads.

        Raises:
            StorageUnavailableError: the database did not answer in time, or not at all.
        """
        return await self._within_limits(work, self._engine, writes=False)

    async def write(self, work: Work[T]) -> T:
        """Do `work` in a transaction and commit it: after this, every replica sees it.

        Raises:
            StorageUnavailableError, StorageFullError: nothing was stored, or (where the answer to
                the commit was lost) it is not known.
            IntegrityError: a row of the same identity exists.
        """
        return await self._within_limits(work, self._engine, writes=True)

    async def tidy(self, work: Work[T]) -> T:
        """Do `work` as `write` does, where it is no harm if a power loss undoes it.

        Writers wait for it as little as can be: on SQLite its commit does not wait for the disk,
        and what is written is brought into the main file after the next writer was let in.

        Raises: as `write`.
        """
        done = await self._within_limits(work, self._tidying, writes=True)
        if self.is_sqlite:
            async with self._tidying.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                await driver.execute("PRAGMA wal_checkpoint(PASSIVE)")  # in no transaction
        return done

    async def ping(self) -> None:
        """Raise StorageUnavailableError unless the database answers."""

        async def select_one(connection: AsyncConnection) -> None:
            await connection.execute(text("SELECT 1"))

        await self.read(select_one)

    async def _within_limits(self, work: Work[T], engine: AsyncEngine, *, writes: bool) -> T:
        """Wait for the transaction, never longer than the limit: its clean-up is left behind."""
        if not self._breaker.allows():
            raise StorageUnavailableError(self._retry_after)
        task = asyncio.ensure_future(self._with_retries(work, engine, writes=writes))
        self._running.add(task)
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait({task}, timeout=self._seconds)
        finally:
            task.cancel()  # which does nothing to one that is done
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

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as forgotten

    async def _with_retries(self, work: Work[T], engine: AsyncEngine, *, writes: bool) -> T:
        async for attempt in stamina.retry_context(
            on=TransientError, attempts=ATTEMPTS, timeout=None, wait_initial=0.02, wait_max=0.2
        ):
            with attempt:
                try:
                    return await self._transact(work, engine, writes=writes)
                except DBAPIError as error:
                    if is_transient(error):
                        raise TransientError from error
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _transact(self, work: Work[T], engine: AsyncEngine, *, writes: bool) -> T:
        async with self._own_turn(writes=writes), engine.connect() as connection:
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


def _server_engine(address: DatabaseAddress, settings: Settings) -> AsyncEngine:
    seconds = settings.database_statement_seconds
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
        address.url,
        connect_args=arguments,
        pool_pre_ping=True,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_seconds,
    )


def _sqlite_engine(
    address: DatabaseAddress,
    settings: Settings,
    pragmas: Iterable[str],
    connections: int,
    threads: SqliteThreads,
) -> AsyncEngine:
    engine = create_async_engine(
        address.url,
        connect_args={
            # How long a statement waits for a lock, in a thread of its own.
            "timeout": settings.database_statement_seconds,
            "async_creator_fn": threads.connect,
        },
        pool_size=connections,
        max_overflow=0,  # each is a thread and two files, and making one takes as long as a read
        pool_timeout=settings.database_pool_seconds,
    )
    start_transactions_ourselves(engine.sync_engine)

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - a driver's own type
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
