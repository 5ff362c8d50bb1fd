"""Server-sent events without a network: ASGI messages are looked at by hand."""

import asyncio
import contextlib

import pytest

from app.event_stream import HEARTBEAT, EventStream, frame, wants_events

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("text/event-stream", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("text/event-stream;q=0.5, application/json", False),
        ("nonsense", False),
    ],
)
def test_a_stream_is_sent_to_whoever_prefers_it(accept, expected):
    assert wants_events(accept) is expected


class Frames:
    """An endless stream that counts what was taken and notes that it was closed."""

    def __init__(self):
        self.taken = 0
        self.closed = False

    async def frames(self, count=None):
        try:
            while count is None or self.taken < count:
                self.taken += 1
                yield frame("token", f'{{"index": {self.taken}}}')
                await asyncio.sleep(0)
        finally:
            self.closed = True


async def run(response, send):
    await response({"type": "http"}, None, send)


async def test_frames_arrive_whole_in_order_and_with_headers_for_proxies():
    frames, sent = Frames(), []

    async def send(message):
        sent.append(message)

    await run(EventStream(frames.frames(3)), send)
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    body = b"".join(message["body"] for message in sent[1:])
    assert body == b"".join(b'event: token\ndata: {"index": %d}\n\n' % i for i in (1, 2, 3))
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * 3 + [False]
    assert frames.closed


async def test_a_reader_who_does_not_read_stops_the_work():
    frames = Frames()
    never = asyncio.Event()

    async def send(message):
        if message["type"] == "http.response.body":
            await never.wait()

    task = asyncio.create_task(run(EventStream(frames.frames()), send))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert frames.taken <= 3
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert frames.closed


async def test_silence_is_filled_with_comments():
    async def quiet():
        await asyncio.sleep(0.2)
        yield frame("done", "{}")

    bodies = []

    async def send(message):
        bodies.append(message.get("body"))

    await run(EventStream(quiet(), heartbeat_seconds=0.02), send)
    assert bodies.count(HEARTBEAT) >= 2
    assert bodies[-2:] == [frame("done", "{}"), b""]
