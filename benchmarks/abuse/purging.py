"""F: what has expired is deleted while callers store."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import Service

EXPIRED = 100_000
STORES = 500
LIFE_SECONDS = 3


@case(
    "F12",
    "100,000 expired rows are deleted while callers store",
    "404 at once, p99 ≤ 1.2·N0, live rows intact",
)
async def purge(bench: Bench) -> str:
    async with bench.service(purge_seconds=1) as service:
        kept = (await service.translate("Yes.", store=True)).json()["id"]
        file = service.data / "softalign.db"
        await asyncio.to_thread(_add_copies, file, kept)
        usual = sorted([await _milliseconds(service) for _ in range(STORES)])
        expiry = await asyncio.to_thread(_let_expire, file)
        await asyncio.sleep(max(0.0, expiry - time.time()))
        gone = [await service.status(f"/v1/translations/{_copy(n)}") for n in (1, EXPIRED)]
        there = _copies(file)
        began, beside = time.monotonic(), []
        while _copies(file):
            beside += [await _milliseconds(service) for _ in range(20)]
        seconds = time.monotonic() - began
        still = await service.status(f"/v1/translations/{kept}")
    n0, p99 = usual[int(0.99 * len(usual))], sorted(beside)[int(0.99 * len(beside))]
    figure = (
        f"p99 {p99:.1f} ms of {len(beside)} beside {there} rows that were deleted in "
        f"{seconds:.0f} s, usually {n0:.1f} ms; expired {sorted(set(gone))} with the rows still "
        f"there, live {still}"
    )
    require(there > EXPIRED / 2 and len(beside) >= STORES, figure)
    require(set(gone) == {404} and still == 200 and p99 <= 1.2 * n0, figure)
    return figure


def _copy(number: int) -> str:
    return f"expired{number:017d}"


def _add_copies(file: Path, kept: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(records)")]
        others = ", ".join(name for name in columns if name != "id")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        copies = f"SELECT printf('expired%017d', i), {others} FROM n, records WHERE records.id = ?"
        connection.execute(
            f"INSERT INTO records (id, {others}) {numbers} {copies}", [EXPIRED, kept]
        )
        connection.commit()


def _let_expire(file: Path) -> float:
    """Let all copies end soon; gives when, as `time.time` tells it."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        expiry = time.time() + LIFE_SECONDS
        connection.execute(
            "UPDATE records SET expires_at = ? WHERE id LIKE 'expired%'", [int(1e6 * expiry)]
        )
        connection.commit()
    return expiry


def _copies(file: Path) -> int:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        wanted = "SELECT count(*) FROM records WHERE id BETWEEN 'expired' AND 'expired:'"
        return int(connection.execute(wanted).fetchone()[0])


async def _milliseconds(service: Service) -> float:
    """Milliseconds that storing one answer takes."""
    reply = await service.translate("Yes.", store=True)
    require(reply.status_code == 200, f"storing gets {reply.status_code}")
    return 1000 * reply.elapsed.total_seconds()
