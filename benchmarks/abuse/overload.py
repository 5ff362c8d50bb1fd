"""C: more than the service can do, asked at moments that do not wait for the answers.

The network is a stub whose steps take `STEP_SECONDS`, so that what is measured is the service
around it. Capacity and the usual latency are measured first, in the same run.
"""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.abuse.bench import Bench, until
from benchmarks.abuse.callers import bearer, make_key
from benchmarks.abuse.cases import MissedError, case, require
from benchmarks.abuse.crashes import rows
from benchmarks.abuse.service import Service
from benchmarks.abuse.wire import connect, get, head, post
from benchmarks.http_load import Answer, Client, closed_loop, good, open_loop, percentile, rate_of

STEP_SECONDS = 0.04
ROWS = 20
PATH = "/v1/translate"
SECONDS = 10.0
OVERLOAD_SECONDS = 60.0
OVERLOAD = 10
BODY = json.dumps(
    {"text": "The cat sleeps.", "store": True, "alignment": {"form": "links"},
     "decoding": {"beam_size": 1, "max_length": 20}}
).encode()  # fmt: skip
MOST = 100_000
FAILED_SECONDS = 60.0
"""What a probe that was not answered counts as."""


@dataclass
class Load:
    """What was measured once, for C1, C5 and C6."""

    capacity: float
    usual_p99: float
    flood: list[Answer]
    server_refusals: float
    probes: list[float]
    scrapes: list[float]
    grown_megabytes: float
    unstored: int
    """Acknowledged translations without a record, or, below 0, records that nobody was told of."""
    calm_p99: float
    left: list[str]
    broken: dict[str, int]
    """Why requests of the flood got no answer, and how often."""


@asynccontextmanager
async def loaded(bench: Bench, **settings: Any) -> AsyncIterator[Service]:
    """A service with steps of a fixed time, and no limit on how much of it one caller takes."""
    chosen: dict[str, Any] = {"max_rows": ROWS, "max_caller_share": 1, "max_connections": MOST,
              "max_connections_per_address": MOST, **settings}  # fmt: skip
    async with bench.service(slow=True, **chosen) as service:
        service.set_step(str(STEP_SECONDS))
        yield service


async def measured(bench: Bench) -> Load:
    """Capacity, usual latency, a minute of ten times the capacity, and the calm after it."""
    if "overload" not in bench.memory:
        try:
            bench.memory["overload"] = await _measure(bench)
        except (OSError, TimeoutError) as error:
            bench.memory["overload"] = f"not measured: {type(error).__name__} {error}"
    found = bench.memory["overload"]
    if not isinstance(found, Load):
        raise MissedError(str(found))
    return found


async def _measure(bench: Bench) -> Load:
    requests = itertools.repeat(BODY)
    async with loaded(bench, max_wait_seconds=60) as service:
        client = Client(service.port)
        await closed_loop(client, PATH, requests, 2 * ROWS, 3)
        busy = await closed_loop(client, PATH, requests, 2 * ROWS, SECONDS)
        capacity = rate_of(busy, SECONDS, SECONDS / 5)
        usual = await open_loop(client, PATH, requests, 0.7 * capacity, SECONDS)
        usual_p99 = percentile(good(usual), 99)
        client.close()
    async with loaded(bench, max_wait_seconds=max(0.02, usual_p99 / 2000)) as service:
        client = Client(service.port)
        await open_loop(client, PATH, requests, 0.7 * capacity, 3)
        before = await service.stable_rss()
        already = rows(service.data)[0]
        probes: list[float] = []
        scrapes: list[float] = []
        watching = [
            asyncio.create_task(_probe(service.port, b"/livez", probes)),
            asyncio.create_task(_probe(service.admin_port, b"/metrics", scrapes)),
        ]
        flood = await open_loop(client, PATH, requests, OVERLOAD * capacity, OVERLOAD_SECONDS)
        for task in watching:
            task.cancel()
        broken = dict(client.broken)
        calm = await open_loop(client, PATH, requests, 0.7 * capacity, SECONDS)
        client.close()  # connections that it keeps are no leak of the service
        left = await service.complaints()
        unstored = len(good(flood)) + len(good(calm)) - (rows(service.data)[0] - already)
        return Load(
            capacity, usual_p99, flood, await _refusal_seconds(service), probes, scrapes,
            (await service.stable_rss() - before) / 1e6, unstored, percentile(good(calm), 99),
            left, broken,
        )  # fmt: skip


async def _probe(port: int, path: bytes, seconds: list[float]) -> None:
    while True:
        try:
            reply = await get(port, path)
        except OSError:
            seconds.append(FAILED_SECONDS)
        else:
            seconds.append(reply.seconds if reply.status == 200 else FAILED_SECONDS)
        await asyncio.sleep(0.2)


async def _refusal_seconds(service: Service) -> float:
    """The 95th percentile of what the log says refusing took, in milliseconds."""
    times = [
        float(str(event["milliseconds"]))
        for event in service.events()
        if event.get("code") == "overloaded"
    ]
    return sorted(times)[int(0.95 * len(times))] if times else 0.0


@case("C1", "ten times the capacity for a minute",
      "p99 < 2·N0, goodput ≥ 0.9·C, refusals p95 ≤ 50 ms, 0 other 5xx, RSS < +50 MB")  # fmt: skip
async def overload(bench: Bench) -> str:
    load = await measured(bench)
    accepted = good(load.flood)
    refusals = [one for one in load.flood if one.status in (429, 503)]
    others = Counter(one.status for one in load.flood if one.status not in (200, 429, 503))
    goodput = rate_of(load.flood, OVERLOAD_SECONDS) / load.capacity
    p99 = percentile(accepted, 99)
    figure = (
        f"C {load.capacity:.0f}/s, N0 {load.usual_p99:.0f} ms; accepted p99 {p99:.0f} ms, goodput "
        f"{goodput:.2f}·C, {len(refusals)} refusals p95 {percentile(refusals, 95):.0f} ms p99 "
        f"{percentile(refusals, 99):.0f} ms (server p95 {load.server_refusals:.1f} ms), others "
        f"{dict(others)} {load.broken or ''}, {load.unstored} not stored, "
        f"RSS {load.grown_megabytes:+.0f} MB"
    )
    met = p99 < 2 * load.usual_p99 and goodput >= 0.9 and percentile(refusals, 95) <= 50
    require(met and not others and not load.unstored and load.grown_megabytes < 50, figure)
    return figure


@case(
    "C2", "a burst of 1,000 at once", "exactly as many accepted as fit, nobody waits for a refusal"
)
async def burst(bench: Bench) -> str:
    room = 40
    async with loaded(bench, max_pending_sentences=room, max_wait_seconds=60) as service:
        service.set_step("forever")
        first = [asyncio.create_task(post(service.port, BODY)) for _ in range(1_000)]
        refused = await until(lambda: sum(task.done() for task in first) >= 1_000 - room, 60)
        held = sum(not task.done() for task in first)
        service.set_step("0")
        replies = await asyncio.gather(*first)
    statuses = [reply.status for reply in replies]
    turned_away = statuses.count(429) + statuses.count(503)
    figure = f"{held} held of {room} places, then {statuses.count(200)}×200; {turned_away} refused"
    require(refused and held == statuses.count(200) == room == 1_000 - turned_away, figure)
    return figure


@case(
    "C3",
    "one greedy key at 20 times its quota, ten polite ones",
    "greedy 429; polite 0 refused, p99 ≤ 1.5·N0",
)
async def greedy_key(bench: Bench) -> str:
    async with bench.service(slow=True, max_rows=ROWS) as service:
        keys = [await make_key(service, f"owner{number}") for number in range(11)]
        await asyncio.sleep(5.5)  # a running service notices the first key within five seconds
        service.set_step("0.005")

        async def polite(seconds: float) -> list[float]:
            ends, times = time.monotonic() + seconds, []
            while time.monotonic() < ends:
                for key in keys[1:]:
                    reply = await post(service.port, BODY, fields=[bearer(key)])
                    require(reply.status == 200, f"a polite caller got {reply.status}")
                    times.append(reply.seconds)
                    await asyncio.sleep(0.1)
            return sorted(times)

        usual = await polite(5)
        flood = asyncio.create_task(_ask_all(service.port, keys[0], 20))
        beside = await polite(5)
        statuses = await flood
    p99s = [1000 * times[int(0.99 * len(times))] for times in (usual, beside)]
    figure = (
        f"greedy {statuses.count(200)}×200 {statuses.count(429)}×429; polite 0 refused, p99 "
        f"{p99s[1]:.0f} ms, usually {p99s[0]:.0f} ms"
    )
    require(set(statuses) <= {200, 429} and statuses.count(429) > 100, figure)
    require(p99s[1] <= 1.5 * p99s[0], figure)
    return figure


async def _ask_all(port: int, key: str, rate: int) -> list[int]:
    replies = []
    for _ in range(5 * rate):
        replies += [asyncio.create_task(post(port, BODY, fields=[bearer(key)])) for _ in range(2)]
        await asyncio.sleep(1 / rate)
    return [(await reply).status for reply in replies]


@case(
    "C4",
    "`deadline_ms` of 50 behind a job of two seconds",
    "504, never begun, answered ≤ 50 ms late",
)
async def deadlines(bench: Bench) -> str:
    async with loaded(bench, max_wait_seconds=60, stall_seconds=60) as service:
        service.set_step("2")
        long = [asyncio.create_task(post(service.port, BODY)) for _ in range(ROWS)]
        await until(lambda: has_begun(service, ROWS), 20)
        waited = await service.metric("queue_wait_seconds_count")
        hurried = json.dumps({**json.loads(BODY), "deadline_ms": 50}).encode()
        replies = [await post(service.port, hurried) for _ in range(20)]
        late = sorted(1000 * reply.seconds - 50 for reply in replies)
        service.set_step("0")
        await asyncio.gather(*long)
        begun = await service.metric("queue_wait_seconds_count") - waited
    statuses = {reply.status for reply in replies}
    figure = f"{statuses}, {late[10]:.0f} ms late (median), {begun:.0f} begun"
    require(statuses <= {503, 504} and begun == 0 and late[10] <= 50, figure)
    return figure


async def has_begun(service: Service, count: int) -> bool:
    """Whether so many sentences were begun since the warm-up."""
    return await service.metric("queue_wait_seconds_count") >= service.warm_up_count + count


@case("C5", "probes during C1", "/livez p99 < 100 ms, max < 500 ms; /metrics < 250 ms")
async def probes(bench: Bench) -> str:
    load = await measured(bench)
    alive = sorted(1000 * one for one in load.probes)
    p99, scrape = alive[int(0.99 * len(alive))], 1000 * max(load.scrapes)
    figure = (
        f"{len(alive)} × /livez: p99 {p99:.0f} ms, max {alive[-1]:.0f} ms; "
        f"/metrics ≤ {scrape:.0f} ms"
    )
    require(p99 < 100 and alive[-1] < 500 and scrape < 250, figure)
    return figure


@case("C6", "the end of C1", "p99 ≤ 1.1·N0 within 5 s, gauges 0")
async def calm(bench: Bench) -> str:
    load = await measured(bench)
    left = ", ".join(load.left) or "all as before"
    figure = f"p99 {load.calm_p99:.0f} ms, N0 {load.usual_p99:.0f} ms; {left}"
    require(not load.left and load.calm_p99 <= 1.1 * load.usual_p99, figure)
    return figure


@case("C7", "500 idle kept connections", "0×503 for 20 active callers")
async def idle_connections(bench: Bench) -> str:
    service = await bench.shared()
    idle = []
    for number in range(500):
        wire = await connect(service.port, f"127.0.0.{2 + number % 2}")
        await wire.send(head(b"GET", b"/livez"))
        await wire.reply()
        idle.append(wire)
    replies = await asyncio.gather(*(service.translate() for _ in range(20)))
    statuses = {reply.status_code for reply in replies}
    open_now = await service.metric("connections")
    for wire in idle:
        wire.close()
    figure = f"{open_now:.0f} connections open, active callers got {statuses}"
    require(statuses == {200} and open_now >= 500, figure)
    return figure
