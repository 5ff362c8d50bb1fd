"""F: several replicas make the tables at once, or one is killed while it does."""

import asyncio
import os
import random
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from pydantic import SecretStr

from app.settings import Settings
from app.storage.database import Database
from app.storage.records import Records
from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.process import start_refused
from benchmarks.abuse.servers import postgres
from benchmarks.abuse.service import ROOT
from tests.app.storage.example_records import assert_same, make_record

TRIES = 20
KILLS = 10
REPLICAS = 3
OPENER = """
import asyncio, sys
from pydantic import SecretStr
from app.settings import Settings
from app.storage.database import Database

async def open_it(url):
    await (await Database.open(Settings(database_url=SecretStr(url)))).close()

print("begun", flush=True)
for url in sys.stdin:
    asyncio.run(open_it(url.strip()))
    print("open", flush=True)
"""


class Opener:
    """A process that opens databases, one after the other, as a replica does at its start."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def begin(cls) -> "Opener":
        """Start it, and wait until only databases are missing."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", OPENER,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        opener = cls(process)
        require(await opener.says("begun"), "a replica does not begin")
        return opener

    def open(self, url: str) -> None:
        """Begin to open a database."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{url}\n".encode())

    async def says(self, word: str) -> bool:
        """Whether this is its next word."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        return line.decode().strip() == word

    async def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@case(
    "F11",
    "three replicas make the tables at once; killed in between; an old one, a newer schema",
    "20 of 20 tries, 10 of 10 kills, on both databases; the old one refuses",
)
async def migrations(bench: Bench) -> str:
    draw = random.Random(11)
    at_once = killed = unfinished = 0
    async with postgres() as server:
        openers = [await Opener.begin() for _ in range(REPLICAS)]
        for number in range(TRIES):
            url = await _new_url(bench, server.new_database if number % 2 else None)
            for opener in openers:
                opener.open(url)
            at_once += all([await opener.says("open") for opener in openers])
            await _is_usable(url)
        for opener in openers:
            await opener.kill()
        makers = (None, server.new_database)
        usual = [await _usual_seconds(await _new_url(bench, make)) for make in makers]
        for number in range(KILLS):
            url = await _new_url(bench, makers[number % 2])
            unfinished += await _killed(url, draw.uniform(0.0, usual[number % 2]))
            await _is_usable(url)
            killed += 1
    refused = await _old_replica(bench)
    figure = (
        f"{at_once} of {TRIES} × {REPLICAS} at once, {killed} of {KILLS} kills ({unfinished} in "
        f"the midst) mended by the next start; a newer schema refused after {refused:.1f} s"
    )
    require(at_once == TRIES and killed == KILLS and unfinished >= KILLS // 2, figure)
    return figure


async def _usual_seconds(url: str) -> float:
    """How long a new replica takes to make the tables."""
    opener = await Opener.begin()
    began = time.monotonic()
    opener.open(url)
    require(await opener.says("open"), "a replica does not make the tables")
    seconds = time.monotonic() - began
    await opener.kill()
    return seconds


async def _killed(url: str, seconds: float) -> bool:
    """Kill a replica so long after it began; whether it had not made the tables yet."""
    victim = await Opener.begin()
    victim.open(url)
    await asyncio.sleep(seconds)
    await victim.kill()
    assert victim.process.stdout is not None
    return await victim.process.stdout.read() == b""


async def _new_url(bench: Bench, make: object) -> str:
    """Of a database that is empty: on PostgreSQL where it is made there, else a file."""
    if make is None:
        return f"sqlite:///{bench.new_folder()}/softalign.db"
    return str(await asyncio.to_thread(make))  # type: ignore[arg-type]


async def _is_usable(url: str) -> None:
    database = await Database.open(Settings(database_url=SecretStr(url)))
    records = await Records.open(database, 10**6)
    record = make_record()
    await records.add("owner", record)
    found = await records.get("owner", record.id)
    assert found is not None
    assert_same(found, record)
    await database.close()


async def _old_replica(bench: Bench) -> float:
    """A start on tables of a later version must leave them alone; gives its seconds."""
    folder = bench.new_folder()
    await _is_usable(f"sqlite:///{folder}/softalign.db")
    file = Path(folder) / "softalign.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = file.read_bytes()
    seconds = await start_refused(bench, "newer", "schema 9999", {"SOFTALIGN_DATA": str(folder)})
    require(file.read_bytes() == before, "the file was changed")
    return seconds
