"""E: a log that cannot be written."""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.in_turn import p99_in_turn
from benchmarks.abuse.service import Service
from benchmarks.abuse.wire import connect, head

LINES = 12_000
"""Lines for the log; more than wait for its writer."""


class Reader:
    """Reads a small pipe until it is told to stop; then the pipe is soon full."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stopped.is_set() and os.read(self._descriptor, 65_536):
            pass

    def stop(self) -> None:
        """Read once more, at most."""
        self._stopped.set()


@contextlib.contextmanager
def read_pipe() -> Iterator[tuple[int, Reader]]:
    """The writing end of a pipe of a dozen lines, and who reads it."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)
    try:
        yield writing, Reader(reading)
    finally:
        os.close(writing)
        os.close(reading)


@contextlib.contextmanager
def full_disk() -> Iterator[int]:
    """A descriptor that takes nothing."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@case(
    "E11",
    "the log's reader stops; the log's disk is full",
    "requests go on, p99 ≤ 1.2·N0, lost lines are counted",
)
async def blocked_log(bench: Bench) -> str:
    async with contextlib.AsyncExitStack() as stack:
        pipe, reader = stack.enter_context(read_pipe())
        full = stack.enter_context(full_disk())
        healthy = await stack.enter_async_context(bench.service())
        unread = await stack.enter_async_context(bench.service(log_descriptor=pipe))
        on_full = await stack.enter_async_context(bench.service(log_descriptor=full))
        reader.stop()
        await _log_lines(unread.port, LINES)
        usual, *blocked = await p99_in_turn(healthy, unread, on_full, alignment=None)
        dropped = [await _dropped(service) for service in (unread, on_full)]
    figure = (
        f"p99 usually {usual:.1f} ms, nobody reads {blocked[0]:.1f} ms ({dropped[0]:.0f} lines "
        f"dropped), full disk {blocked[1]:.1f} ms ({dropped[1]:.0f} lines dropped)"
    )
    require(min(dropped) > 0 and max(blocked) <= 1.2 * usual, figure)
    return figure


async def _log_lines(port: int, count: int) -> None:
    """Make so many requests that are logged, a few at a time on one connection."""
    wire = await connect(port)
    for _ in range(count // 20):
        await wire.send(head(b"GET", b"/nowhere") * 20)
        statuses = {(await wire.reply()).status for _ in range(20)}
        require(statuses == {404}, f"/nowhere gets {statuses}")
    wire.close()


async def _dropped(service: Service) -> float:
    await asyncio.sleep(0.2)
    return await service.metric("log_lines_dropped_total")
