"""A service under measurement in a process of its own, and who takes the processors meanwhile."""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from benchmarks.http_load import Client

ROOT = Path(__file__).parents[1]


class Served:
    """A service that is ready, and a client of it."""

    def __init__(self, client: Client, process: psutil.Process) -> None:
        self.client = client
        self._process = process

    def processors(self) -> "Processors":
        """Begin to measure who takes the processors."""
        return Processors(self._process)


class Processors:
    """Processors that the service, the load and all others take, from when it is made on."""

    def __init__(self, service: psutil.Process) -> None:
        self._service = service
        self._began = time.monotonic()
        self._at_first = self._seconds()

    def taken(self) -> dict[str, float]:
        """How many each has taken on average; what others take spoils a measurement."""
        passed = time.monotonic() - self._began
        spent = [now - then for now, then in zip(self._seconds(), self._at_first, strict=True)]
        service, load, machine = (seconds / passed for seconds in spent)
        others = max(0.0, machine - service - load)
        return {"service": service, "load": load, "others": others}

    def _seconds(self) -> tuple[float, float, float]:
        service, machine = self._service.cpu_times(), psutil.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # What guests take is in `user` already, where there are any.
        counted = sum(machine) - idle - getattr(machine, "guest", 0.0)
        return service.user + service.system, time.process_time(), counted


@contextlib.asynccontextmanager
async def served(
    checkpoint: Path, port: int, *policy: str, **settings: object
) -> AsyncIterator[Served]:
    """A service of its own process, ready; gone at the end."""
    most = 1_000_000
    chosen = {
        "checkpoints": checkpoint, "max_caller_share": 1.0, "max_connections": most,
        "max_connections_per_address": most, "max_pending_sentences": most,
        "max_pending_tokens": most, **settings,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {
            f"SOFTALIGN_{name.upper()}": str(value) for name, value in chosen.items()
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.serve_worker",
            str(port),
            *policy,
            env=environment | {"SOFTALIGN_DATA": data, "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
        )
        try:
            await _ready(process, port)
            client = Client(port)
            yield Served(client, psutil.Process(process.pid))
            client.close()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.2)
    raise SystemExit("the service did not start; its complaint stands above")
