"""E: a log that cannot be written."""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import Service
from benchmarks.abuse.wire import connect, head

REQUESTS = 500
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


@case(
    "E11",
    "the log's reader stops; the log's disk is full",
    "requests go on, p99 ≤ 1.2·N0, lost lines are counted",
)
async def blocked_log(bench: Bench) -> str:
    with read_pipe() as (pipe, reader):
        async with bench.service(log_descriptor=pipe) as service:
            usual = await _p99(service)
            reader.stop()
            await _log_lines(service.port, LINES)
            blocked, dropped = await _p99(service), await _dropped(service)
    full = os.open("/dev/full", os.O_WRONLY)
    async with bench.service(log_descriptor=full) as service:
        on_full, lost = await _p99(service), await _dropped(service)
    os.close(full)
    figure = (
        f"p99 usually {usual:.1f} ms, nobody reads {blocked:.1f} ms ({dropped:.0f} lines dropped), "
        f"full disk {on_full:.1f} ms ({lost:.0f} lines dropped)"
    )
    require(dropped > 0 and lost > 0 and max(blocked, on_full) <= 1.2 * usual, figure)
    return figure


async def _p99(service: Service) -> float:
    times = []
    for _ in range(REQUESTS):
        reply = await service.translate("Yes.", alignment=None)
        require(reply.status_code == 200, f"a request got {reply.status_code}")
        times.append(1000 * reply.elapsed.total_seconds())
    return sorted(times)[int(0.99 * REQUESTS)]


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
