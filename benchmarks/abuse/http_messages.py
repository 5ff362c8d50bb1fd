"""A: what heads, bodies and connections can be abused for."""

import asyncio
import json
import time

from benchmarks.abuse.bench import Bench, until
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.json_bodies import refused, tally
from benchmarks.abuse.service import Service
from benchmarks.abuse.slow_clients import dripping, silent
from benchmarks.abuse.wire import JSON, Reply, connect, get, head, post, send_raw
from benchmarks.http_load import Client, good, open_loop, percentile

SMALL = json.dumps({"text": "Yes.", "store": False, "decoding": {"beam_size": 1}}).encode()
GIB = 2**30
POLITE_RATE = 20.0
POLITE_SECONDS = 10.0


def large(*fields: tuple[bytes, bytes]) -> bytes:
    """The head of a request with a JSON body."""
    return head(fields=[(b"Content-Type", JSON.encode()), *fields])


@case(
    "A5",
    "1 GiB body: announced, chunked, CL too small, CL too large",
    "announced: 413 ≤ 50 ms, RSS < +10 MB, < 1 kB",
)
async def large_bodies(bench: Bench) -> str:
    service = await bench.shared()
    before = await service.stable_rss()
    announced = [
        await send_raw(service.port, large((b"Content-Length", str(GIB).encode())) + b"{")
        for _ in range(10)
    ]
    refused(announced, 413)
    refused([await endless_chunks(service.port) for _ in range(10)], 413)
    too_small = await send_raw(service.port, large((b"Content-Length", b"5")) + SMALL + b"\r\n" * 4)
    refused([too_small], 400)
    wire = await connect(service.port)
    await wire.send(large((b"Content-Length", b"100000")) + SMALL)
    wire.close()
    require((await service.translate()).status_code == 200, "the next request fails")
    grown = (await service.stable_rss() - before) / 1e6
    slowest = 1000 * sorted(reply.seconds for reply in announced)[len(announced) // 2]
    longest = max(len(reply.body) for reply in announced)
    figure = f"announced: {slowest:.0f} ms (median), RSS {grown:+.1f} MB, answers of {longest} B"
    require(slowest <= 50 and grown < 10 and longest < 1_000, figure)
    return figure


async def endless_chunks(port: int, size: int = 65_536) -> Reply:
    """Send chunks until the service has had enough, a GiB at most."""
    wire = await connect(port)
    began = time.monotonic()
    await wire.send(large((b"Transfer-Encoding", b"chunked")))
    chunk = f"{size:x}\r\n".encode() + b"x" * size + b"\r\n"
    batch = chunk * max(1, 65_536 // len(chunk))
    for _ in range(GIB // (size * max(1, len(batch) // len(chunk)))):
        if not await wire.send(batch) or wire.reader.at_eof():
            break
        if wire.reader._buffer:  # the answer is there already
            break
        await asyncio.sleep(0)
    reply = await wire.reply(began)
    wire.close()
    return reply


@case(
    "A6", "a million chunks of one byte, a hundred times", "all 413, RSS < +1 MiB, /livez meanwhile"
)
async def tiny_chunks(bench: Bench) -> str:
    service = await bench.shared()
    for _ in range(10):
        await endless_chunks(service.port, size=1)
    before = await service.stable_rss()
    probes: list[float] = []
    probing = asyncio.create_task(probe(service.port, probes))
    replies = [await endless_chunks(service.port, size=1) for _ in range(100)]
    probing.cancel()
    grown = (await service.stable_rss() - before) / 2**20
    refused(replies, 413)
    seconds = sorted(reply.seconds for reply in replies)[50]
    slowest = 1000 * max(probes, default=0.0)
    figure = (
        f"{tally(replies)}, {seconds:.2f} s each, RSS {grown:+.2f} MiB, /livez ≤ {slowest:.0f} ms"
    )
    require(grown < 1 and slowest < 500, figure)
    return figure


async def probe(port: int, seconds: list[float], every: float = 0.2) -> None:
    """Ask `/livez` again and again; note how long each answer took."""
    while True:
        reply = await get(port, b"/livez")
        require(reply.status == 200, "/livez fails")
        seconds.append(reply.seconds)
        await asyncio.sleep(every)


@case(
    "A7", "Content-Encoding gzip, br, zstd, deflate, chains of them", "415 < 50 ms, never inflated"
)
async def compressed_bodies(bench: Bench) -> str:
    service = await bench.shared()
    encodings = (
        "gzip",
        "br",
        "zstd",
        "deflate",
        "GZIP",
        "gzip, gzip",
        "identity, gzip",
        "x-gzip",
        "?",
    )
    bomb = b"\x1f\x8b\x08\x00" + b"\xff" * 10_000
    replies = [
        await post(service.port, bomb, fields=[(b"Content-Encoding", one.encode())])
        for one in encodings
        for _ in range(5)
    ]
    refused(replies, 415)
    middle = 1000 * sorted(reply.seconds for reply in replies)[len(replies) // 2]
    figure = f"{tally(replies)}, median {middle:.0f} ms"
    require(middle < 50, figure)
    return figure


HOST = b"\r\nHost: a\r\n"
BAD_HEADS = (
    b"GET /livez HTTP/1.1\r\n\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"Host: b\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: evil/?@a b\r\n\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"X: a\0b\r\n\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"X: a\rb\r\n\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"X : a\r\n\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"X: " + b"x" * 2**20 + b"\r\n\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
    b"GET /livez HTTP/1.1" + HOST + b"".join(b"X-%d: y\r\n" % n for n in range(64)) + b"\r\n",
    b"POST /v1/translate HTTP/1.1" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/translate HTTP/1.1" + HOST + b"Content-Length: -1\r\n\r\n{}",
    b"POST /v1/translate HTTP/1.1" + HOST + b"Content-Length: 1e3\r\n\r\n{}",
    b"POST /v1/translate HTTP/1.1" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/translate HTTP/1.1" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"GET http://x/ HTTP/1.1" + HOST + b"\r\n",
    b"GET @google.com HTTP/1.1" + HOST + b"\r\n",
    b"GET  /livez HTTP/1.1" + HOST + b"\r\n",
    b"GET /livez HTTP/9.9" + HOST + b"\r\n",
    b"GET /" + b"x" * 5_000 + b" HTTP/1.1" + HOST + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


@case(
    "A11",
    "1 MB head, 10k fields, NUL, CR, two CL, no or two or bad Host, http://x/",
    "0×2xx, 0×5xx",
)
async def bad_heads(bench: Bench) -> str:
    port = (await bench.shared()).port
    replies = [await send_raw(port, data) for data in BAD_HEADS]
    refused(replies, 400, 404, 414, 415, 431, 501)
    both = await send_raw(
        port,
        large((b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5")) + b"0\r\n\r\n",
    )
    refused([both], 400)
    return f"{len(replies) + 1} heads: {tally([*replies, both])}"


@case("A12", "500 silent sockets; 500 dripping heads; 500 dripping bodies; 20 polite requests/s",
      "polite: 0 errors, p99 < 2·N0; all sockets closed by the deadlines")  # fmt: skip
async def slow_callers(bench: Bench) -> str:
    service = await bench.shared()
    client = Client(service.port)
    requests = iter(lambda: SMALL, None)
    path = "/v1/translate"
    await open_loop(client, path, requests, POLITE_RATE, 2)
    usual = await open_loop(client, path, requests, POLITE_RATE, POLITE_SECONDS)
    usual_p99 = percentile(good(usual), 99)
    files = service.files()
    worst, figures = 0.0, []
    body = large((b"Content-Length", b"1000"))
    kinds = (("silent", silent, b"", 15), ("heads", dripping, b"GET / HTTP/1.1\r\nX: ", 15),
             ("bodies", dripping, body, 45))  # fmt: skip
    for name, attack, beginning, seconds in kinds:
        attackers = asyncio.create_task(attack(service.port, 500, beginning, "127.0.0.2"))
        polite = await open_loop(client, path, requests, POLITE_RATE, POLITE_SECONDS)
        statuses = sorted({one.status for one in polite})
        require(statuses == [200], f"{name}: polite callers got {statuses}")
        worst = max(worst, percentile(polite, 99))
        began = time.monotonic()
        ends = await asyncio.wait_for(attackers, seconds + 30)
        figures.append(f"{name} closed with {sorted(set(ends))}")
        require(time.monotonic() - began < seconds, f"{name} were not closed in time")
    client.close()
    require(await until(lambda: service.files() <= files + 2, 10), "sockets are left open")
    figure = f"{', '.join(figures)}; polite p99 {worst:.0f} ms, usually {usual_p99:.0f} ms"
    require(worst < 2 * usual_p99, figure)
    return figure


@case("A13", "20 callers who read nothing of a stream with the weights of 900 characters",
      "slots free ≤ 30 s, RSS < +10 MB, a record whole or absent")  # fmt: skip
async def unread_streams(bench: Bench) -> str:
    service = await bench.shared()
    text = "The cat sleeps on the sofa and the dog runs. " * 20
    fields = {"alignment": {"level": "piece"}, "decoding": {"beam_size": 1}}
    body = json.dumps({"text": text, **fields}).encode()
    fields = [(b"Accept", b"text/event-stream"), (b"Content-Length", str(len(body)).encode())]
    seconds = [await _streams(service, large(*fields) + body, read=True) for _ in range(2)][-1]
    before = await service.stable_rss()
    usual, seconds = seconds, await _streams(service, large(*fields) + body, read=False)
    grown = (service.rss() - before) / 1e6
    listed = (await service.http.get("/v1/translations?limit=20")).json()["translations"]
    whole = [await service.status(f"/v1/translations/{one['id']}") for one in listed]
    figure = (
        f"free after {seconds:.0f} s (read at once: {usual:.0f} s), RSS {grown:+.1f} MB, "
        f"{len(whole)} records readable"
    )
    require(seconds <= 30 + usual and grown < 10 and set(whole) <= {200}, figure)
    return figure


async def _streams(service: Service, request: bytes, *, read: bool) -> float:
    """Ask for 20 streams, and read them or not; seconds until nothing is in progress any more."""
    began = time.monotonic()
    wires = [await connect(service.port) for _ in range(20)]
    for wire in wires:
        if not read:
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await wire.send(request)

    async def is_idle() -> bool:
        return await service.metric("requests_in_progress") <= 1  # the scrape is one

    if read:
        await asyncio.gather(*(wire.reply() for wire in wires))
    await until(is_idle, 90, every=0.2)
    for wire in wires:
        wire.close()
    return time.monotonic() - began


SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: smuggled\r\n\r\n"
SMUGGLERS = (
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    b"Content-Length: +0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
)


@case(
    "A14",
    "1,000 pipelined requests, good and bad; smuggling by TE, CL, chunks",
    "0 foreign request ids",
)
async def pipelines(bench: Bench) -> str:
    port = (await bench.shared()).port
    wrong = answered = 0
    for batch in range(50):
        wire = await connect(port)
        names = [f"r{batch}-{number}" for number in range(20)]
        await wire.send(b"".join(_mixed(name, number) for number, name in enumerate(names)))
        for name in names:
            reply = await wire.reply()
            answered += 1
            wrong += reply.headers.get("x-request-id") != name
        wire.close()
    for smuggler in SMUGGLERS:
        wire = await connect(port)
        await wire.send(b"POST /v1/translate HTTP/1.1\r\nHost: a\r\n" + smuggler + SMUGGLED)
        first = await wire.reply()
        require(400 <= first.status < 500 or first.status == 501, f"{smuggler!r}: {first.status}")
        require(await wire.closed(5), f"{smuggler!r} leaves the connection open")
        wire.close()
    figure = f"{wrong} of {answered} pipelined, {len(SMUGGLERS)} smugglers cut off"
    require(wrong == 0, figure)
    return figure


def _mixed(name: str, number: int) -> bytes:
    fields = [(b"X-Request-Id", name.encode())]
    if number % 3 == 0:
        return head(b"GET", b"/nowhere", fields)
    if number % 3 == 1:
        return head(b"GET", b"/livez", fields)
    body = b'{"text": 1}'
    sizes = [(b"Content-Length", str(len(body)).encode()), (b"Content-Type", JSON.encode())]
    return head(fields=[*fields, *sizes]) + body
