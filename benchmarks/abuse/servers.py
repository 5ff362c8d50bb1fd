"""F: PostgreSQL away, silent, killed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.abuse.bench import Bench, until
from benchmarks.abuse.cases import UnableError, case, require
from benchmarks.abuse.in_turn import p99_in_turn
from benchmarks.abuse.service import Service
from tests.flaky_proxy import FlakyProxy
from tests.servers import PostgresServer, find_program


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


@case(
    "F6",
    "PostgreSQL behind a black hole",
    "503 within 3.5 s; store: false p99 ≤ 1.2·N0",
)
async def silent_postgres(bench: Bench) -> str:
    async with postgres() as server, FlakyProxy("127.0.0.1", server.url.port or 0) as proxy:
        url = await asyncio.to_thread(server.new_database)
        through = url.replace(f":{server.url.port}/", f":{proxy.port}/")
        async with (
            bench.service(database_url=url) as healthy,
            bench.service(database_url=through) as service,
        ):
            proxy.fault = "silent"
            reply = await service.translate(store=True)
            seconds = reply.elapsed.total_seconds()
            # Longer than what is known of keys is taken for true.
            usual, unstored = await p99_in_turn(healthy, service)
            proxy.fault = None
            back = await until(lambda: _stores(service), 10)
    figure = (
        f"{reply.status_code} after {seconds:.1f} s, store: false p99 {unstored:.1f} ms, usually "
        f"{usual:.1f} ms, {'back' if back else 'not back'}"
    )
    require(reply.status_code == 503 and seconds <= 3.5 and back, figure)
    require(unstored <= 1.2 * usual, figure)
    return figure


async def _stores(service: Service) -> bool:
    return (await service.translate("Yes.", store=True)).status_code == 200
