"""F: PostgreSQL and Redis: away, silent, killed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.abuse.bench import Bench, until
from benchmarks.abuse.cases import UnableError, case, require
from benchmarks.abuse.service import Service
from benchmarks.abuse.tested import proved_by
from tests.flaky_proxy import FlakyProxy
from tests.servers import PostgresServer, RedisServer, find_program

TESTS = "tests/app/storage"


@asynccontextmanager
async def postgres() -> AsyncIterator[PostgresServer]:
    """A server of our own, or the reason why there is none."""
    if find_program("initdb") is None:
        raise UnableError("PostgreSQL is not installed")
    server = await asyncio.to_thread(PostgresServer, None)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


@case(
    "F5",
    "kill -9 of PostgreSQL under load, started again after five seconds",
    "503; 0 acknowledged lost; back ≤ 5 s",
)
async def killed_postgres(bench: Bench) -> str:
    async with postgres() as server:
        url = await asyncio.to_thread(server.new_database)
        async with bench.service(database_url=url, max_caller_share=1) as service:
            acknowledged: list[str] = []
            statuses: set[int] = set()
            stop = asyncio.Event()

            async def caller() -> None:
                while not stop.is_set():
                    reply = await service.translate("Yes.", store=True)
                    statuses.add(reply.status_code)
                    if reply.status_code == 200:
                        acknowledged.append(reply.json()["id"])
                    await asyncio.sleep(0.02)

            callers = [asyncio.create_task(caller()) for _ in range(4)]
            await asyncio.sleep(2)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(5)
            await asyncio.to_thread(server.start)
            began, before = time.monotonic(), len(acknowledged)
            back = await until(lambda: len(acknowledged) > before, 30)
            seconds = time.monotonic() - began
            stop.set()
            await asyncio.gather(*callers)
            found = [await service.status(f"/v1/translations/{one}") for one in acknowledged]
    figure = (
        f"{sorted(statuses)}, back after {seconds:.1f} s, "
        f"{found.count(200)} of {len(acknowledged)} acknowledged found"
    )
    require(back and seconds <= 5 and statuses == {200, 503}, figure)
    require(found.count(200) == len(found), figure)
    return figure


@case("F6", "PostgreSQL behind a black hole", "503 within 3.5 s; store: false unaffected")
async def silent_postgres(bench: Bench) -> str:
    async with postgres() as server:
        url = await asyncio.to_thread(server.new_database)
        async with FlakyProxy("127.0.0.1", server.url.port or 0) as proxy:
            through = url.replace(f":{server.url.port}/", f":{proxy.port}/")
            async with bench.service(database_url=through) as service:
                proxy.fault = "silent"
                reply = await service.translate(store=True)
                seconds = reply.elapsed.total_seconds()
                times = []
                for _ in range(50):  # longer than what is known of keys is taken for true
                    unstored = await service.translate("Yes.")
                    require(unstored.status_code == 200, f"store: false {unstored.status_code}")
                    times.append(1000 * unstored.elapsed.total_seconds())
                    await asyncio.sleep(0.15)
                proxy.fault = None
                back = await until(lambda: _stores(service), 10)
    figure = (
        f"{reply.status_code} after {seconds:.1f} s, store: false p99 {sorted(times)[49]:.0f} ms, "
        f"{'back' if back else 'not back'}"
    )
    require(reply.status_code == 503 and seconds <= 3.5 and back, figure)
    require(max(times) < 500, figure)
    return figure


async def _stores(service: Service) -> bool:
    return (await service.translate("Yes.", store=True)).status_code == 200


@case(
    "F7",
    "serialisation failure, deadlock, ended connection",
    "tried again ≤ 3 times, one row a key",
)
async def conflicts(bench: Bench) -> str:  # noqa: ARG001
    return await proved_by(
        f"{TESTS}/test_faults.py::test_conflicts_that_are_nobodys_fault_are_tried_again",
        f"{TESTS}/test_records.py::test_concurrent_duplicates_become_one_row",
    )


@case(
    "F8",
    "Redis killed, stopped (SIGSTOP) and behind a black hole",
    "requests go on, ready, added p99 ≤ 50 ms",
)
async def away_redis(bench: Bench) -> str:
    if find_program("redis-server") is None:
        raise UnableError("Redis is not installed")
    server = await asyncio.to_thread(RedisServer, None)
    figures = []
    try:
        async with FlakyProxy("127.0.0.1", server.port) as proxy:
            url = f"redis://127.0.0.1:{proxy.port}/0"
            settings = {
                "redis_url": url,
                "key_requests_per_minute": 0,
                "key_requests_per_second": 10_000,
            }
            async with bench.service(**settings) as service:
                usual = await _p99(service)
                for fault in ("silent", "refused", "reset"):
                    proxy.fault = fault  # type: ignore[assignment]
                    proxy.reset_all() if fault != "silent" else None
                    slowest = await _p99(service)
                    ready = await service.status("/readyz")
                    proxy.fault = None
                    figures.append(f"{fault} {slowest - usual:+.0f} ms")
                    require(
                        slowest - usual <= 50 and ready == 200, f"{figures}, usually {usual:.0f}"
                    )
    finally:
        await asyncio.to_thread(server.stop)
    return f"usually p99 {usual:.0f} ms; {', '.join(figures)}; ready throughout"


async def _p99(service: Service) -> float:
    times = []
    for _ in range(100):
        reply = await service.http.get("/v1/models")
        require(reply.status_code == 200, f"a request got {reply.status_code}")
        times.append(1000 * reply.elapsed.total_seconds())
    return sorted(times)[98]


@case("F9", "Redis answers -OOM, -READONLY, -LOADING", "as F8")
async def wrong_redis(bench: Bench) -> str:  # noqa: ARG001
    return await proved_by("tests/app/test_rate_limits.py")


@case("F10", "strange texts and a large matrix in both databases", "equal, bit by bit")
async def both_databases(bench: Bench) -> str:  # noqa: ARG001
    return await proved_by(f"{TESTS}/test_records.py", f"{TESTS}/test_matrices.py")


@case(
    "F11",
    "three replicas migrate at once; killed in between; an old one on a new schema",
    "one does it",
)
async def migrations(bench: Bench) -> str:  # noqa: ARG001
    file = f"{TESTS}/test_startup.py"
    return await proved_by(
        f"{file}::test_three_replicas_can_start_at_once",
        f"{file}::test_an_interrupted_upgrade_is_done_again",
        f"{file}::test_a_newer_schema_is_refused_and_kept",
    )


@case(
    "F15", "PostgreSQL: wrong password, no such database, away", "host and port named, no password"
)
async def wrong_logins(bench: Bench) -> str:  # noqa: ARG001
    file = f"{TESTS}/test_startup.py"
    return await proved_by(
        f"{file}::test_a_server_that_is_away_is_named_without_the_password",
        f"{file}::test_a_wrong_password_and_a_missing_database_are_told",
        f"{file}::test_an_address_that_cannot_be_used_is_refused_without_its_password",
    )
