"""F: the database in a file: full, locked, broken, large."""

import asyncio
import contextlib
import hashlib
import sqlite3
import subprocess
import time

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import UnableError, case, require
from benchmarks.abuse.crashes import rows
from benchmarks.abuse.process import start_refused
from benchmarks.abuse.tested import proved_by
from benchmarks.abuse.wire import get

TESTS = "tests/app/storage"


@case(
    "F2",
    "the folder of the database is full (tmpfs of 2 MiB)",
    "507; reads and store: false 200; recovers",
)
async def full_disk(bench: Bench) -> str:
    folder = bench.new_folder()
    mounted = subprocess.run(  # noqa: ASYNC221
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        raise UnableError("no file system can be mounted here")
    try:
        async with bench.service(data=folder / "data") as service:
            first = await service.translate(store=True)
            ballast = folder / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4_096))
            statuses = [(await service.translate(store=True)).status_code for _ in range(20)]
            reading = await service.status(f"/v1/translations/{first.json()['id']}")
            unstored = (await service.translate()).status_code
            best = (await service.translate(store="best_effort")).json()
            ballast.unlink()
            recovered = (await service.translate(store=True)).status_code
            sound = rows(folder / "data")[1]
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: ASYNC221
    figure = (
        f"{sorted(set(statuses))}, reading {reading}, store: false {unstored}, best effort "
        f"{best.get('record', best)}, then {recovered}, integrity {sound}"
    )
    require(507 in statuses and set(statuses) <= {200, 507}, figure)
    require((reading, unstored, recovered, sound) == (200, 200, 200, "ok"), figure)
    require(best["record"] is None, figure)
    return figure


@case(
    "F3",
    "another program holds the write lock for ten seconds",
    "503 after 2–3 s; /livez p99 < 100 ms",
)
async def locked(bench: Bench) -> str:
    async with bench.service() as service:
        with contextlib.closing(sqlite3.connect(service.data / "softalign.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            storing = asyncio.create_task(service.translate(store=True))
            alive = []
            while time.monotonic() < began + 10:
                alive.append((await get(service.port, b"/livez")).seconds)
                unstored = await service.translate()
                require(unstored.status_code == 200, f"store: false gets {unstored.status_code}")
                await asyncio.sleep(0.05)
            reply = await storing
            other.rollback()
        seconds = reply.elapsed.total_seconds()
        again = await service.translate(store=True)
    p99 = 1000 * sorted(alive)[int(0.99 * len(alive))]
    figure = (
        f"{reply.status_code} after {seconds:.1f} s, /livez p99 {p99:.0f} ms, "
        f"then {again.status_code}"
    )
    require(reply.status_code == 503 and "retry-after" in reply.headers, figure)
    require(2 <= seconds <= 4 and p99 < 100 and again.status_code == 200, figure)
    return figure


@case(
    "F4",
    "database that is garbage, empty, cut off, of another program, a folder",
    "refused in one line, bytes unchanged",
)
async def broken_files(bench: Bench) -> str:
    good = bench.new_folder() / "data"
    async with bench.service(data=good) as service:
        await service.translate(store=True)
    whole = (good / "softalign.db").read_bytes()
    other = bench.new_folder() / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE bills (id INTEGER)")
        connection.commit()
    broken = {"garbage": b"\x00garbage" * 999, "empty": b"", "cut off": whole[: len(whole) // 2],
              "another program's": other.read_bytes()}  # fmt: skip
    slowest = 0.0
    for name, content in broken.items():
        folder = bench.new_folder()
        file = folder / "softalign.db"
        file.write_bytes(content)
        slowest = max(
            slowest, await start_refused(bench, name, str(file), {"SOFTALIGN_DATA": str(folder)})
        )
        same = hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(content).digest()
        require(same, f"{name}: the file was changed")
    folder = bench.new_folder()
    (folder / "softalign.db").mkdir()
    await start_refused(bench, "a folder", "softalign.db", {"SOFTALIGN_DATA": str(folder)})
    tests = await proved_by(f"{TESTS}/test_startup.py")
    return f"{len(broken) + 1} refused in one line, {slowest:.1f} s at most, unchanged; {tests}"


@case("F13", "limit 0, −1, 10^9; forged, cut, foreign cursors", "422, nothing else")
async def cursors(bench: Bench) -> str:
    service = await bench.shared()
    for _ in range(3):
        await service.translate(store=True)
    page = (await service.http.get("/v1/translations?limit=1")).json()
    cursor = page["next_cursor"]
    bad = [f"limit={n}" for n in (0, -1, 10**9, "1e3", "0x1", "")]
    bad += [
        f"cursor={one}" for one in (cursor[:-1], cursor[1:], "x", "A" * 64, cursor + "A", "%00")
    ]
    bad += [f"cursor={cursor}&source_lang=en", "cursor=", "limit=1&limit=2x", "unknown=1"]
    statuses = [(query, await service.status(f"/v1/translations?{query}")) for query in bad]
    wrong = [one for one in statuses if one[1] != 422]
    figure = f"{len(statuses)} queries, {len(wrong)} not refused {wrong or ''}"
    require(not wrong, figure)
    test = f"{TESTS}/test_records.py::test_no_row_is_skipped_or_repeated_while_others_write"
    return f"{figure}; {await proved_by(test, f'{TESTS}/test_cursors.py')}"


@case(
    "F14",
    "a record above its largest size",
    "413, or record: null with best effort; no partial row",
)
async def large_records(bench: Bench) -> str:
    async with bench.service(max_record_bytes=1_024) as service:
        before = rows(service.data)[0]
        reply = await service.translate("The cat sleeps. " * 60, store=True)
        best = await service.translate("The cat sleeps. " * 60, store="best_effort")
        added = rows(service.data)[0] - before
    code = reply.json().get("code")
    figure = f"{reply.status_code} {code}, best effort {best.status_code}, {added} rows"
    require(reply.status_code == 413 and best.json()["record"] is None and added == 0, figure)
    return figure
