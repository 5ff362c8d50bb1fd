"""F: Redis away, and Redis that says no."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.callers import make_key
from benchmarks.abuse.cases import UnableError, case, require
from benchmarks.abuse.service import Service
from tests.flaky_proxy import FlakyProxy
from tests.servers import RedisServer, find_program

REQUESTS = 300
EVERY_SECONDS = 0.01
KEYS_NOTICED_SECONDS = 5.5
"""A running service notices the first key within five seconds."""
AGAIN_SECONDS = 5.5
"""After it failed, Redis is asked again five seconds later."""
MOST_ADDED = 50.0
"""Milliseconds."""
QUOTAS = {"key_requests_per_minute": 1_000_000, "key_requests_per_second": 10_000}


@asynccontextmanager
async def redis_server() -> AsyncIterator[RedisServer]:
    """A server of our own, or the reason why there is none."""
    if find_program("redis-server") is None:
        raise UnableError("Redis is not installed")
    server = await asyncio.to_thread(RedisServer, None)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


class Keyed:
    """A caller with a key, whose requests are counted in Redis."""

    def __init__(self, service: Service, key: str) -> None:
        self._service = service
        self._headers = {"Authorization": f"Bearer {key}"}

    @classmethod
    async def of(cls, service: Service) -> "Keyed":
        """Make the first key."""
        key = await make_key(service, "owner")
        await asyncio.sleep(KEYS_NOTICED_SECONDS)
        return cls(service, key)

    async def p99(self, what: str) -> float:
        """Of the milliseconds of requests that must all succeed, while the service stays ready."""
        times = []
        for _ in range(REQUESTS):
            reply = await self._service.http.get("/v1/models", headers=self._headers)
            require(reply.status_code == 200, f"{what}: a request got {reply.status_code}")
            require("ratelimit" in reply.headers, f"{what}: nothing is counted")
            times.append(1000 * reply.elapsed.total_seconds())
            await asyncio.sleep(EVERY_SECONDS)
        require(await self._service.status("/readyz") == 200, f"{what}: not ready")
        return sorted(times)[int(0.99 * REQUESTS)]

    async def store(self) -> str:
        """The id of a record."""
        body = {"text": "Yes."}
        reply = await self._service.http.post("/v1/translate", json=body, headers=self._headers)
        return str(reply.json()["id"])

    async def reads(self, record: str) -> bool:
        """Whether a record is there."""
        path = f"/v1/translations/{record}"
        return (await self._service.http.get(path, headers=self._headers)).status_code == 200


async def _commands(server: RedisServer) -> int:
    async with Redis.from_url(server.url) as client:
        return int((await client.info("stats"))["total_commands_processed"])


@case(
    "F8",
    "Redis behind a black hole, stopped (SIGSTOP), killed",
    "requests go on, ready, added p99 ≤ 50 ms",
)
async def away_redis(bench: Bench) -> str:
    figures = []
    async with redis_server() as server, FlakyProxy("127.0.0.1", server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with bench.service(redis_url=url, **QUOTAS) as service:
            caller = await Keyed.of(service)
            before = await _commands(server)
            usual = await caller.p99("usually")
            asked = await _commands(server) - before
            require(asked >= REQUESTS, f"Redis was asked {asked} times only")
            for fault in ("black hole", "stopped", "killed"):
                if fault == "black hole":
                    proxy.fault = "silent"
                elif server.process is not None:
                    server.process.send_signal(getattr(signal, SIGNALS[fault]))
                added = await caller.p99(fault) - usual
                figures.append(f"{fault} {added:+.1f} ms")
                require(added <= MOST_ADDED, f"{figures}, usually {usual:.1f}")
                proxy.fault = None
                if fault == "stopped" and server.process is not None:
                    server.process.send_signal(signal.SIGCONT)
                await asyncio.sleep(AGAIN_SECONDS)
    return f"usually p99 {usual:.1f} ms; {', '.join(figures)}; ready throughout"


SIGNALS = {"stopped": "SIGSTOP", "killed": "SIGKILL"}


@case(
    "F9",
    "Redis says -OOM, -READONLY, -LOADING; FLUSHALL; evicts",
    "requests go on, ready, added p99 ≤ 50 ms; nothing is lost",
)
async def wrong_redis(bench: Bench) -> str:
    figures = []
    async with (
        redis_server() as server,
        bench.service(redis_url=server.url, **QUOTAS) as service,
        Redis.from_url(server.url) as client,
    ):
        caller = await Keyed.of(service)
        record = await caller.store()
        usual = await caller.p99("usually")
        for fault, begin, end in FAULTS:
            await client.execute_command(*begin.split())
            over = asyncio.Event()
            again = asyncio.create_task(_repeat(client, begin, over))
            figures.append((fault, await caller.p99(fault) - usual))
            over.set()
            await again
            await client.execute_command(*end.split())
            await asyncio.sleep(AGAIN_SECONDS)
        kept = await caller.reads(record)
    async with (
        loading() as port,
        bench.service(redis_url=f"redis://127.0.0.1:{port}/0", **QUOTAS) as service,
    ):
        caller = await Keyed.of(service)
        figures.append(("-LOADING", await caller.p99("-LOADING") - usual))
    told = ", ".join(f"{fault} {added:+.1f} ms" for fault, added in figures)
    figure = f"usually p99 {usual:.1f} ms; {told}; ready throughout, the record is there: {kept}"
    require(max(added for _, added in figures) <= MOST_ADDED and kept, figure)
    return figure


FAULTS = (
    ("-OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ("-READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ("FLUSHALL", "FLUSHALL", "FLUSHALL"),
    ("evicts", "CONFIG SET maxmemory 900kb maxmemory-policy allkeys-random",
     "CONFIG SET maxmemory 0 maxmemory-policy noeviction"),
)  # fmt: skip
"""What goes wrong, how it begins, how it ends."""


async def _repeat(client: "Redis", command: str, over: asyncio.Event) -> None:
    while not over.is_set():
        await client.execute_command(*command.split())
        await asyncio.sleep(0.05)


@asynccontextmanager
async def loading() -> AsyncIterator[int]:
    """A server that says to every command that it is still loading; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            while line := await reader.readline():
                for _ in range(int(line[1:])):
                    length = int((await reader.readline())[1:])
                    await reader.readexactly(length + 2)
                writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
