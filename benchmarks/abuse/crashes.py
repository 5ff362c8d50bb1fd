"""F: the service is killed while it stores what it answers."""

import asyncio
import contextlib
import os
import random
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.crashing_service import HOOKS, NEVER
from benchmarks.abuse.service import ROOT

LIVES = 25
"""Of a service for each point at which it is killed."""


class CrashingService:
    """Lives of a service, each of which ends at a point that is chosen."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30)

    async def live(self, hook: str, count: int) -> None:
        """Begin a life."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{hook} {count}\n".encode())
        require(await self._says("ready"), "a life does not begin")

    async def gone(self) -> None:
        """Wait for its end."""
        require(await self._says("gone"), "a life does not end")

    async def _says(self, word: str) -> bool:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        return line.decode().strip() == word

    async def ask(self, key: str) -> httpx.Response | None:
        """One stored answer; None where the connection broke."""
        body = {"text": f"The cat sleeps, {key}.", "decoding": {"beam_size": 1, "max_length": 4}}
        with contextlib.suppress(httpx.TransportError):
            headers = {"Idempotency-Key": key}
            return await self.http.post("/v1/translate", json=body, headers=headers)
        return None


@asynccontextmanager
async def crashing(bench: Bench, data: Path) -> AsyncIterator[CrashingService]:
    """A process that gives lives to services on one folder."""
    port = bench.port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.abuse.crashing_service",
        str(bench.checkpoints), str(port),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "SOFTALIGN_DATA": str(data),
             "SOFTALIGN_MAX_ROWS": "4"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    service = CrashingService(process, port)
    try:
        yield service
    finally:
        await service.http.aclose()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # the life that still runs, too
        await process.wait()


@case("F1", "kill -9 before insert, after insert, after commit, before the answer, 25 times each",
      "acknowledged ⊆ stored, stored unacknowledged only after the commit; 0 of 100")  # fmt: skip
async def killed_while_storing(bench: Bench) -> str:
    data = bench.new_folder() / "data"
    draw = random.Random(1)
    acknowledged: dict[str, str] = {}
    replayed = dict.fromkeys(HOOKS, 0)
    missing = 0
    async with crashing(bench, data) as service:
        pending: tuple[str, str] | None = None  # the request that was not answered, and its hook
        for life in range(len(HOOKS) * LIVES + 1):
            hook = HOOKS[life % len(HOOKS)] if life < len(HOOKS) * LIVES else NEVER
            # The repeated request is stored again where it was not committed, so it counts too.
            await service.live(hook, draw.randint(2, 4))
            if pending is not None:
                reply = await service.ask(pending[0])
                require(reply is not None and reply.status_code == 200, "the key is not free")
                replayed[pending[1]] += "Idempotent-Replayed" in reply.headers
                acknowledged[pending[0]] = reply.json()["id"]
            for number in range(5):
                key = f"life{life}-{number}"
                reply = await service.ask(key)
                if reply is None:
                    pending = (key, hook)
                    await service.gone()
                    break
                acknowledged[key] = reply.json()["id"]
        for record in acknowledged.values():
            missing += (await service.http.get(f"/v1/translations/{record}")).status_code != 200
    stored, sound = rows(data)
    early = replayed["before_insert"] + replayed["after_insert"]
    late = replayed["after_commit"] + replayed["before_answer"]
    figure = (
        f"{len(HOOKS) * LIVES} kills: {missing} of {len(acknowledged)} acknowledged missing, "
        f"{stored - len(acknowledged)} duplicates, replayed {early} of {2 * LIVES} before and "
        f"{late} of {2 * LIVES} after the commit, integrity {sound}"
    )
    require(missing == 0 and stored == len(acknowledged) and sound == "ok", figure)
    require((early, late) == (0, 2 * LIVES), figure)
    return figure


def rows(data: Path) -> tuple[int, str]:
    """How many records there are, and what SQLite says of its file."""
    with contextlib.closing(sqlite3.connect(data / "softalign.db")) as connection:
        [count] = connection.execute("SELECT count(*) FROM records").fetchone()
        return count, connection.execute("PRAGMA integrity_check").fetchone()[0]
