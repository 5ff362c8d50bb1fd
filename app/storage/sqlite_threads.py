"""The threads in which SQLite's driver works, one for each connection.

What was cancelled leaves its thread to end by itself, and what the thread has to tell then goes to
an event loop that may be closed by now. So whoever closes the database waits for all of them.
"""

import asyncio
import time
from threading import Thread
from typing import Any
from weakref import WeakSet

import aiosqlite


class SqliteThreads:
    """Opens connections for SQLAlchemy (`async_creator_fn`) and knows the threads they work in."""

    def __init__(self) -> None:
        self._threads: WeakSet[Thread] = WeakSet()

    def connect(self, database: str, **arguments: Any) -> aiosqlite.Connection:  # noqa: ANN401
        """A connection that opens when it is awaited; the arguments are those of the driver."""
        connection = aiosqlite.connect(database, **arguments)
        thread = connection._thread  # the driver has no other way to it
        thread.daemon = True  # as SQLAlchemy does: a process may end while a statement runs
        self._threads.add(thread)
        return connection

    async def ended(self, seconds: float) -> None:
        """Wait until no thread works any more, at most so many seconds."""
        await asyncio.to_thread(self._join, seconds)

    def _join(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for thread in [thread for thread in self._threads if thread.is_alive()]:
            thread.join(max(0.0, until - time.monotonic()))
