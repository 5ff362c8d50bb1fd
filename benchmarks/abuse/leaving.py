"""D: callers who leave, and streams."""

import asyncio
import json
import random
import time
from collections.abc import Iterator

from benchmarks.abuse.bench import Bench, until
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.overload import BODY, MOST, ROWS, STEP_SECONDS, has_begun, loaded
from benchmarks.abuse.service import Service
from benchmarks.abuse.tested import proved_by
from benchmarks.abuse.wire import JSON, Wire, connect, head

ENDLESS = json.dumps(
    {"text": "the cat sleeps on the sofa and the dog runs to the river. " * 2,
     "decoding": {"beam_size": 1}}
).encode()  # fmt: skip
EVENTS = (b"Accept", b"text/event-stream")


def request(body: bytes, *fields: tuple[bytes, bytes]) -> bytes:
    """A whole request to translate."""
    own = [(b"Content-Type", JSON.encode()), (b"Content-Length", str(len(body)).encode())]
    return head(fields=[*own, *fields]) + body


async def leave(bench: Bench, *fields: tuple[bytes, bytes]) -> str:
    """Leave in the middle of decoding, ten times; how long the slot is taken afterwards.

    The step at hand counts among the steps that are made afterwards; one more is allowed.
    """
    waits, extra = [], []
    async with loaded(bench) as service:
        service.set_step(str(STEP_SECONDS))
        key = (b"Idempotency-Key", b"left-early")
        for _ in range(10):
            wire = await connect(service.port)
            await wire.send(request(ENDLESS, key, *fields))
            require(await until(lambda: _is_decoding(service)), "nothing is decoded")
            steps = await service.metric("step_seconds_count")
            wire.close()
            began = time.monotonic()
            require(await until(lambda: _is_free(service), 10, every=0.002), "the slot stays taken")
            waits.append(1000 * (time.monotonic() - began))
            extra.append(await service.metric("step_seconds_count") - steps)
        listed = (await service.http.get("/v1/translations?limit=100")).json()["translations"]
        texts = [one for one in listed if one["preview"].startswith("the cat sleeps on the sofa")]
        service.set_step("0")
        wire = await connect(service.port)
        await wire.send(request(ENDLESS, key))
        again = await wire.reply()
        wire.close()
    figure = (
        f"slot free after {max(waits):.0f} ms at most of ten (a step takes "
        f"{1000 * STEP_SECONDS:.0f}), {max(extra):.0f} steps ended afterwards, "
        f"{len(texts)} stored, the key is free ({again.status})"
    )
    require(max(waits) < 1000 * STEP_SECONDS + 50 and max(extra) <= 2, figure)
    require(not texts and "idempotent-replayed" not in again.headers, figure)
    return figure


async def _is_decoding(service: Service) -> bool:
    return await service.metric("active_sentences") >= 1


async def _is_free(service: Service) -> bool:
    return await service.metric("active_sentences") == 0


@case(
    "D1",
    "a caller leaves during decoding",
    "free in < 1 step + 50 ms, ≤ 1 step after the one at hand, nothing stored",
)
async def leave_plain(bench: Bench) -> str:
    return await leave(bench)


@case("D2", "a caller leaves in the middle of a stream", "as D1")
async def leave_stream(bench: Bench) -> str:
    return await leave(bench, EVENTS)


@case("D3", "20 callers leave while they wait in the queue", "none is ever decoded")
async def leave_queue(bench: Bench) -> str:
    async with loaded(bench, max_wait_seconds=60, stall_seconds=60) as service:
        service.set_step("0.3")
        first = [await connect(service.port) for _ in range(ROWS)]
        for wire in first:
            await wire.send(request(BODY))
        await until(lambda: has_begun(service, ROWS), 20)
        waiting = [await connect(service.port) for _ in range(20)]
        for wire in waiting:
            await wire.send(request(BODY))
        require(await until(lambda: _waits(service, 20), 20), "nobody waits")
        for wire in waiting:
            wire.close()
        require(await until(lambda: _waits(service, 0), 5), "they wait on")
        service.set_step("0")
        for wire in first:
            await wire.reply()
            wire.close()
        begun = await service.metric("queue_wait_seconds_count") - service.warm_up_count
    figure = f"{begun:.0f} begun of {ROWS} who stayed and 20 who left"
    require(begun == ROWS, figure)
    return figure


async def _waits(service: Service, count: int) -> bool:
    return await service.metric("queue_sentences") == count


@case(
    "D4",
    "1,000 callers who leave at random moments",
    "gauges 0, RSS < +20 MB, threads and files as before",
)
async def leave_at_random(bench: Bench) -> str:
    service = await bench.shared()
    draw = random.Random(4)

    async def one() -> None:
        wire = await connect(service.port)
        await wire.send(request(ENDLESS, *([EVENTS] if draw.random() < 0.5 else [])))
        await asyncio.sleep(draw.random() * 0.2)
        wire.close()

    for _ in range(5):
        await asyncio.gather(*(one() for _ in range(20)))
    before = await service.stable_rss()
    for _ in range(50):
        await asyncio.gather(*(one() for _ in range(20)))
    complaints = await service.complaints()
    grown = (await service.stable_rss() - before) / 1e6
    figure = f"RSS {grown:+.1f} MB, {', '.join(complaints) or 'all as before'}"
    require(grown < 20 and not complaints, figure)
    return figure


def events(stream: bytes) -> Iterator[tuple[str, dict]]:
    """Names and data of the events of a stream."""
    for frame in stream.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if "event" in lines:
            yield lines["event"], json.loads(lines["data"])


async def stream(port: int, body: bytes) -> tuple[Wire, list[tuple[str, dict]]]:
    """Read one stream to its end."""
    wire = await connect(port)
    await wire.send(request(body, EVENTS))
    reply = await wire.reply()
    return wire, list(events(reply.body))


@case(
    "D5",
    "the worker dies, or gets stuck, in the middle of ten streams",
    "each ends with `error`, then closes",
)
async def broken_streams(bench: Bench) -> str:
    ends = []
    async with loaded(bench, stall_seconds=1) as service:
        for wish in ("dead", "forever"):
            service.set_step("0.05")
            asked = [asyncio.create_task(stream(service.port, ENDLESS)) for _ in range(10)]
            await until(lambda: _is_decoding(service), 20)
            await asyncio.sleep(0.3)
            service.set_step(wish)
            for wire, told in await asyncio.gather(*asked):
                name, data = told[-1]
                ends.append(f"{name} {data.get('code')}")
                wire.close()
            service.set_step("0")
            await until(lambda: _is_ready(service), 20)
    figure = f"{len(ends)} streams ended with {', '.join(sorted(set(ends)))}"
    require(set(ends) == {"error model_unavailable"}, figure)
    return figure


async def _is_ready(service: Service) -> bool:
    return await service.status("/readyz") == 200


@case("D6", "a stream and a plain answer to the same request", "text, pieces, weights equal")
async def stream_and_plain(bench: Bench) -> str:
    service = await bench.shared()
    same = 0
    for text in (
        "The cat sleeps.",
        "Two sentences. Here they are.",
        "日本語 and more.",
        "a " * 100,
    ):
        fields = {"text": text, "store": False, "include": ["segments", "tokens"]}
        wire, told = await stream(service.port, json.dumps(fields).encode())
        wire.close()
        plain = (await service.http.post("/v1/translate", json=fields)).json()
        done = dict(told)["done"]
        require(done["translations"] == plain["translations"], f"{text[:20]}: not equal")
        ends = [data for name, data in told if name == "segment_end"]
        joined = "".join(end["text"] for end in sorted(ends, key=lambda end: end["segment"]))
        whole = plain["translations"][0]["text"]
        require("".join(joined.split()) == "".join(whole.split()), f"{text[:20]}: other pieces")
        same += 1
    return f"{same} of 4 equal; {await proved_by('tests/app/test_streaming.py')}"


@case(
    "D7", "the first token, and silence, of a stream", "first token ≤ 3 steps; a comment every 15 s"
)
async def first_token(bench: Bench) -> str:
    step = 0.3
    async with loaded(
        bench, stall_seconds=60, deadline_seconds=60, max_connections=MOST
    ) as service:
        service.set_step(str(step))
        wire = await connect(service.port)
        began = time.monotonic()
        await wire.send(request(ENDLESS, EVENTS))
        while b"event: token" not in await asyncio.wait_for(wire.reader.readline(), 20):
            pass
        first = (time.monotonic() - began) / step
        service.set_step("forever")
        began = time.monotonic()
        while b": still here" not in await asyncio.wait_for(wire.reader.readline(), 20):
            pass
        silence = time.monotonic() - began
        wire.close()
        service.set_step("0")
    figure = f"first token after {first:.1f} steps, a comment after {silence:.1f} s"
    require(first <= 3 and silence <= 16, figure)
    return figure
