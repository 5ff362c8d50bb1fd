"""E: how the process lives and dies."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from benchmarks.abuse.bench import Bench, until
from benchmarks.abuse.cases import UnableError, case, require
from benchmarks.abuse.leaving import request
from benchmarks.abuse.overload import BODY, ROWS, loaded
from benchmarks.abuse.service import KNOWN_TEXT, ROOT, Service
from benchmarks.abuse.wire import Reply, post, send_raw
from tests.servers import PASSWORD

GRACE, DRAIN = 5.0, 1.0
SECRET = "topsecret"
"""A password that no start may print."""


@case(
    "E1",
    "SIGTERM with 20 in flight, 10 in the queue",
    "not ready at once, exit 0 ≤ grace + 2 s",
)
async def terminate(bench: Bench) -> str:
    data = bench.new_folder() / "data"
    settings = {"shutdown_seconds": GRACE, "drain_seconds": DRAIN, "max_wait_seconds": 60,
                "stall_seconds": 60}  # fmt: skip
    async with loaded(bench, data=data, **settings) as service:
        service.set_step("0.05")
        asked = [asyncio.create_task(post(service.port, BODY)) for _ in range(ROWS + 10)]
        require(await until(lambda: _in_progress(service, ROWS + 10), 20), "not in flight")
        service.send(signal.SIGTERM)
        began = time.monotonic()
        require(await until(lambda: _readiness(service, 503), 2), "still ready")
        not_ready = time.monotonic() - began
        late = await service.http.get("/v1/models")
        await until(lambda: sum(one.done() for one in asked) >= ROWS, GRACE, every=0.002)
        service.set_step("forever")
        replies = await asyncio.gather(*asked)
        code = await service.ended()
        seconds = time.monotonic() - began
    acknowledged = [json.loads(one.body)["id"] for one in replies if one.status == 200]
    refused = [one for one in replies if one.status == 503]
    require(len(acknowledged) + len(refused) == len(replies), f"{[one.status for one in replies]}")
    require(all("retry-after" in one.headers for one in refused), "no Retry-After")
    async with loaded(bench, data=data) as service:
        found = [await service.status(f"/v1/translations/{one}") for one in acknowledged]
    second = await _second_signal(bench)
    figure = (
        f"not ready after {not_ready:.2f} s, taken while draining: {late.status_code}, "
        f"{len(acknowledged)}×200 of which {found.count(200)} stored, {len(refused)}×503, "
        f"exit {code} after {seconds:.1f} s; second signal: {second:.2f} s"
    )
    require(found.count(200) == len(found) >= ROWS and len(refused) > 0, figure)
    require((late.status_code, code) == (200, 0) and seconds <= GRACE + 2 and second <= 1, figure)
    return figure


async def _second_signal(bench: Bench) -> float:
    async with bench.service(shutdown_seconds=60, drain_seconds=30) as service:
        service.send(signal.SIGTERM)
        await until(lambda: _readiness(service, 503), 5)
        began = time.monotonic()
        service.send(signal.SIGTERM)
        require(await service.ended() == 128 + signal.SIGTERM, "another exit code")
        return time.monotonic() - began


async def _in_progress(service: Service, count: int) -> bool:
    return await service.metric("requests_in_progress") >= count + 1  # the scrape is one


async def _readiness(service: Service, status: int) -> bool:
    return await service.status("/readyz") == status


class Replicas:
    """Two services on one folder, behind a balancer that asks each whether it is ready."""

    def __init__(self, services: list[Service]) -> None:
        self.services = services
        self._ready = dict.fromkeys(range(len(services)), True)
        self._turn = itertools.count()

    async def watch(self) -> None:
        """Ask `/readyz` of each, ten times a second."""
        while True:
            for index, service in enumerate(self.services):
                self._ready[index] = await service.status("/readyz") == 200
            await asyncio.sleep(0.1)

    def next(self) -> Service:
        """The one whose turn it is among those that are ready."""
        ready = [index for index, is_ready in self._ready.items() if is_ready] or [0]
        return self.services[ready[next(self._turn) % len(ready)]]


@asynccontextmanager
async def replicas(bench: Bench, **settings: object) -> AsyncIterator[Replicas]:
    """Two services that share a folder, and the balancer's watch over them."""
    data = bench.new_folder() / "data"
    async with (
        bench.service(data=data, **settings) as one,
        bench.service(data=data, **settings) as other,
    ):
        both = Replicas([one, other])
        watching = asyncio.create_task(both.watch())
        try:
            yield both
        finally:
            watching.cancel()


@case("E2", "kill -9 of one of two replicas under load, callers repeat with their key",
      "0 acknowledged missing, 0 duplicates, errors ≤ 5 s")  # fmt: skip
async def kill_a_replica(bench: Bench) -> str:
    failed_at: list[float] = []
    acknowledged: dict[str, str] = {}
    async with replicas(bench) as both:
        first, other = both.services

        async def caller(name: str) -> None:
            for number in range(40):
                key = f"{name}-{number}"
                while key not in acknowledged:
                    headers = {"Idempotency-Key": key}
                    with contextlib.suppress(httpx.TransportError):
                        reply = await both.next().http.post(
                            "/v1/translate", content=BODY,
                            headers={**headers, "Content-Type": "application/json"},
                        )  # fmt: skip
                        if reply.status_code == 200:
                            acknowledged[key] = reply.json()["id"]
                            continue
                    failed_at.append(time.monotonic())
                    await asyncio.sleep(0.05)

        callers = [asyncio.create_task(caller(f"caller{number}")) for number in range(8)]
        await until(lambda: len(acknowledged) > 80)
        first.send(signal.SIGKILL)
        await first.ended()
        await asyncio.gather(*callers)
        found = [await other.status(f"/v1/translations/{one}") for one in acknowledged.values()]
        window = failed_at[-1] - failed_at[0] if failed_at else 0.0
    figure = (
        f"{len(acknowledged)} acknowledged, {found.count(200)} found, "
        f"{len(set(acknowledged.values()))} records, {len(failed_at)} errors within {window:.1f} s"
    )
    require(found.count(200) == len(acknowledged) == len(set(acknowledged.values())), figure)
    require(window <= 5, figure)
    return figure


@case("E3", "both replicas replaced one after the other under load", "0 failed requests")
async def rolling_restart(bench: Bench) -> str:
    statuses: list[int] = []
    stop = asyncio.Event()
    async with replicas(bench, drain_seconds=1, shutdown_seconds=20) as both:

        async def caller() -> None:
            while not stop.is_set():
                try:
                    reply = await both.next().translate("Yes.")
                    statuses.append(reply.status_code)
                except httpx.TransportError:
                    statuses.append(0)

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        codes = []
        for service in both.services:
            await asyncio.sleep(1)
            service.send(signal.SIGTERM)
            codes.append(await service.ended())
            await service.start()
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*callers)
    figure = f"{len(statuses)} requests: {sorted(set(statuses))}; exit codes {codes}"
    require(set(statuses) == {200} and codes == [0, 0], figure)
    return figure


@case(
    "E4",
    "a decoding step that takes for ever",
    "ready again ≤ 15 s, /livez 200 throughout",
)
async def stuck_step(bench: Bench) -> str:
    async with bench.service(slow=True) as service:
        service.set_step("forever")
        began = time.monotonic()
        asked = [asyncio.create_task(post(service.port, BODY)) for _ in range(5)]
        alive: list[Reply] = []
        while not all(one.done() for one in asked):
            alive.append(await send_raw(service.port, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"))
            await asyncio.sleep(0.1)
        answered = time.monotonic() - began
        service.set_step("0")
        ready = await until(lambda: _readiness(service, 200), 15)
        back = await service.translate("Yes.")
        statuses = sorted({one.result().status for one in asked})
    slowest = max(one.seconds for one in alive)
    figure = (
        f"{statuses} after {answered:.1f} s, then {back.status_code}; "
        f"/livez ≤ {1000 * slowest:.0f} ms"
    )
    require(ready and back.status_code == 200 and statuses == [503] and answered <= 15, figure)
    require({one.status for one in alive} == {200} and slowest < 0.5, figure)
    return figure


@case(
    "E5", "the decoding worker dies; five times in a minute", "503, replaced ≤ 10 s; then exit ≠ 0"
)
async def dead_worker(bench: Bench) -> str:
    async with bench.service(slow=True, stall_seconds=1) as service:
        service.set_step("dead")
        first = await post(service.port, BODY)
        began = time.monotonic()
        service.set_step("0")
        await until(lambda: _readiness(service, 200), 10)
        replaced = time.monotonic() - began
        again = await post(service.port, BODY)
        service.set_step("dead")
        statuses: list[int] = []
        while service.is_alive and len(statuses) < 200:
            with contextlib.suppress(OSError):
                statuses.append((await post(service.port, BODY)).status)
            await asyncio.sleep(0.05)
        code = await service.ended()
    figure = f"{first.status}, replaced after {replaced:.1f} s, {again.status}; exit {code}"
    require(first.status == 503 and first.code == "model_unavailable", figure)
    require(again.status == 200 and replaced <= 10 and code not in (0, None), figure)
    return figure


@case("E6", "missing model, bad and unknown settings, port in use, broken secret file",
      "exit ≠ 0 in < 5 s beyond the imports, one line, no secret")  # fmt: skip
async def bad_starts(bench: Bench) -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        used = str(taken.getsockname()[1])
        url = f"postgresql://me:{SECRET}@nowhere.invalid/db"
        starts = (
            ["0", {"SOFTALIGN_CHECKPOINTS": "/nonexistent"}], ["0", {"SOFTALIGN_MAX_TEXTS": "x"}],
            ["0", {"SOFTALIGN_MAX_TEXT": "1"}], [used, {}], ["0", {"SOFTALIGN_DATABASE_URL": url}],
            ["0", {"SOFTALIGN_DATABASE_URL_FILE": "/nonexistent"}],
            ["0", {"SOFTALIGN_SHUTDOWN_SECONDS": "2"}],
            ["0", {"SOFTALIGN_REDIS_URL": f"ftp://:{SECRET}@x"}],
        )  # fmt: skip
        times = [
            await start_refused(bench, str(variables), "", variables, port)
            for port, variables in starts
        ]
    quickest, slowest = min(times), max(times)
    figure = (
        f"{len(starts)} starts, each refused in one line, the quickest after {quickest:.1f} s "
        f"(imports), the slowest after {slowest:.1f} s"
    )
    require(slowest - quickest < 5, figure)
    return figure


async def start_refused(
    bench: Bench, what: str, named: str, variables: dict[str, str], port: str = "0"
) -> float:
    """A start must end in one line that names something and no secret; gives its seconds."""
    began = time.monotonic()
    code, said = await _start(bench, port, variables)
    told = f"{what}: exit {code}, {said!r}"
    require(code not in (0, None) and len(said.splitlines()) == 1 and named in said, told)
    shown = [secret for secret in (SECRET, PASSWORD) if secret in said]
    require(not shown and "Traceback" not in said, told)
    return time.monotonic() - began


async def _start(bench: Bench, port: str, variables: dict[str, str]) -> tuple[int | None, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith("SOFTALIGN_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve", "--port", port,
        cwd=ROOT,
        env={**kept, "SOFTALIGN_DATA": str(bench.new_folder()),
             "SOFTALIGN_CHECKPOINTS": str(bench.checkpoints), **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode()


@case("E7", "10,000 requests of every kind", "RSS < +20 MB, threads and files as before")
async def ten_thousand(bench: Bench) -> str:
    service = await bench.shared()
    kinds = [request(BODY), request(b'{"text": 1}'), b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
             b"GET /v1/translations HTTP/1.1\r\nHost: a\r\n\r\n", b"nonsense\r\n\r\n",
             b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", request(b"x" * 300_000)]  # fmt: skip

    async def some(count: int) -> None:
        for index in range(0, count, 20):
            await asyncio.gather(
                *(send_raw(service.port, kinds[(index + n) % len(kinds)]) for n in range(20))
            )

    await some(1_000)
    before = await service.stable_rss()
    await some(10_000)
    grown = (await service.stable_rss() - before) / 1e6
    complaints = await service.complaints()
    figure = f"RSS {grown:+.1f} MB, {', '.join(complaints) or 'all as before'}"
    require(grown < 20 and not complaints, figure)
    return figure


@case("E9", "1, 2 and 8 threads, 200 requests at once", "no hang in 60 s")
async def threads(bench: Bench) -> str:
    figures = []
    for number in (1, 2, 8):
        async with bench.service(threads=number, max_caller_share=1) as service:
            began = time.monotonic()
            replies = await asyncio.gather(*(service.translate("Yes.") for _ in range(200)))
            seconds = time.monotonic() - began
            statuses = sorted({one.status_code for one in replies})
            figures.append(f"{number}: {statuses} in {seconds:.1f} s")
            require(set(statuses) <= {200, 503} and seconds < 60, figures[-1])
    return "; ".join(figures)


@case(
    "E10",
    "another user, no capability, no new privileges",
    "starts and translates",
)
async def unprivileged(bench: Bench) -> str:
    if os.geteuid() != 0:
        raise UnableError("only an administrator can give all rights up")
    tight = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
             "--bounding-set=-all", "--inh-caps=-all")  # fmt: skip
    folder = bench.new_folder() / "data"
    folder.mkdir()
    for path in (
        folder,
        folder.parent,
        bench.folder,
        bench.checkpoints,
        *bench.checkpoints.iterdir(),
    ):
        path.chmod(0o755)
    os.chown(folder, 65_534, 65_534)
    service = await bench.start_prefixed(tight, folder)
    try:
        reply = await service.translate(KNOWN_TEXT, store=True)
        status = (ROOT.joinpath("/proc", str(service.pid), "status")).read_text()
        caps = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    finally:
        await service.kill()
    figure = f"{reply.status_code}, stored; effective capabilities {caps}"
    require(reply.status_code == 200 and int(caps, 16) == 0, figure)
    return figure
