"""The listener's connections, over real sockets, around an application that only echoes."""

import asyncio
import json
import socket

import pytest

from app.chunk_limit import MOST_CHUNKS
from app.connections import largest_head
from app.lingering import LINGER_BYTES
from app.metrics import Metrics
from app.server import Listener, bind
from app.settings import Settings

pytestmark = pytest.mark.anyio

SOON = 60.0
LARGE = 32 * 2**20


async def echo(scope, receive, send):
    """Answer a request for `/large` with more than any buffer holds, others with their body."""
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    body += message.get("body", b"")
    if scope["path"] == "/large":
        body = b"x" * LARGE
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def listen():
    """Start a listener with these settings; gives it with its port."""
    started = []

    async def start(app=echo, **settings):
        bound = bind("127.0.0.1", 0)
        metrics = Metrics()
        listener = Listener(app, bound, Settings(**settings), metrics)
        listener.metrics, listener.port = metrics, bound.getsockname()[1]
        listener.callers = []
        await listener.listen()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        for writer in listener.callers:
            writer.close()
        await listener.close(1.0)


async def connect(listener, sent=b""):
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    listener.callers.append(writer)
    writer.write(sent)
    await writer.drain()
    return reader, writer


async def answer(reader):
    """The next response: status, headers, body."""
    async with asyncio.timeout(SOON):
        head = await reader.readuntil(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")[:-2]
        headers = dict(field.split(": ", 1) for field in fields)
        body = await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers, body


async def is_closed(reader):
    async with asyncio.timeout(SOON):
        return await reader.read() == b""


def closed(listener, reason):
    sample = "softalign_connections_closed_total"
    return listener.metrics.registry.get_sample_value(sample, {"reason": reason})


def problem(status, headers, body):
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert headers["connection"] == "close"
    document = json.loads(body)
    assert document["status"] == status
    assert document["request_id"] == headers["x-request-id"]
    return document["code"]


REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


async def test_a_connection_carries_several_requests(listen):
    reader, writer = await connect(await listen())
    for _ in range(3):
        writer.write(REQUEST)
        assert (await answer(reader))[::2] == (200, b"hi")


async def test_a_body_does_not_wait_for_the_confirmation_of_its_head(listen):
    listener = await listen()
    reader, _ = await connect(listener, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await answer(reader)
    [connection] = listener.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_requests_sent_at_once_are_answered_in_order(listen):
    reader, _ = await connect(await listen(header_seconds=0.3), REQUEST * 3)
    assert [(await answer(reader))[2] for _ in range(3)] == [b"hi"] * 3


async def test_a_silent_connection_is_closed_without_an_answer(listen):
    listener = await listen(header_seconds=0.2)
    reader, _ = await connect(listener)
    assert await is_closed(reader)
    assert closed(listener, "late_head") == 1


async def test_a_head_that_drips_is_given_up(listen):
    listener = await listen(header_seconds=0.3)
    reader, writer = await connect(listener, b"GET / HTTP/1.1\r\n")

    async def drip():
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert problem(*await answer(reader)) == "request_timeout"
    assert await is_closed(reader)
    dripping.cancel()


async def test_the_head_of_a_second_request_has_the_same_time(listen):
    listener = await listen(header_seconds=0.3, keep_alive_seconds=60)
    reader, writer = await connect(listener, REQUEST)
    assert (await answer(reader))[0] == 200
    await asyncio.sleep(0.6)  # idle is not late
    writer.write(b"GET / HT")
    assert problem(*await answer(reader)) == "request_timeout"


async def test_a_head_that_came_in_time_is_not_late_while_its_request_runs(listen):
    listener = await listen(header_seconds=0.2)
    reader, writer = await connect(listener, REQUEST[:-2])
    await asyncio.sleep(0.5)
    writer.write(b"hi")
    assert (await answer(reader))[0] == 200


async def test_an_idle_connection_is_closed(listen):
    listener = await listen(keep_alive_seconds=1)
    reader, _ = await connect(listener, REQUEST)
    assert (await answer(reader))[0] == 200
    assert await is_closed(reader)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_gets_a_problem_and_is_cut(listen, sent):
    listener = await listen()
    reader, _ = await connect(listener, sent)
    status, *rest = await answer(reader)
    assert problem(status, *rest) in ("bad_request", "unsupported_media_type")
    assert 400 <= status < 500 or status == 501
    assert await is_closed(reader)


async def test_a_body_comes_in_chunks_up_to_a_number_of_them(listen):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader, writer = await connect(await listen())
    for count in (MOST_CHUNKS - 1, MOST_CHUNKS):
        writer.write(head + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
        assert (await answer(reader))[::2] == (200, b"x" * count)
    writer.write(head + b"1\r\nx\r\n" * (MOST_CHUNKS + 1))
    status, headers, body = await answer(reader)
    assert (status, problem(status, headers, body)) == (413, "body_too_large")
    assert await is_closed(reader)


async def test_a_body_of_announced_length_may_come_byte_by_byte(listen):
    reader, writer = await connect(await listen())
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n")
    for _ in range(3_000):
        writer.write(b"x")
        await asyncio.sleep(0)
    assert (await answer(reader))[0] == 200


async def refuse_unread(_scope, _receive, send):
    """Answer without reading, and close, as the boundary does with a body that is too large."""
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


async def test_an_answer_reaches_a_caller_who_is_still_sending(listen):
    listener = await listen(app=refuse_unread)
    reader, writer = await connect(listener)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
    sent = 0
    while sent < LINGER_BYTES // 2:  # after the answer, on a connection that is about to close
        writer.write(b"x" * 65_536)
        await writer.drain()
        sent += 65_536
        await asyncio.sleep(0.001)
    assert (await answer(reader))[::2] == (413, b"no")
    assert await is_closed(reader)


async def test_a_caller_who_never_stops_sending_is_cut(listen):
    listener = await listen(app=refuse_unread)
    _, writer = await connect(listener)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")

    async def send_for_ever():
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_for_ever(), SOON)
    async with asyncio.timeout(SOON):
        while listener.server_state.connections:
            await asyncio.sleep(0.05)


async def test_a_head_without_end_is_refused_before_it_ends(listen):
    listener = await listen(max_header_bytes=1_024, max_target_bytes=256)
    reader, writer = await connect(listener, b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    writer.write(b"x" * 2 * largest_head(Settings(max_header_bytes=1_024)))
    assert problem(*await answer(reader)) == "header_too_large"


async def test_a_head_within_the_limits_passes_in_whatever_pieces_it_comes(listen):
    limits = {"max_header_bytes": 1_024, "max_header_fields": 8, "max_target_bytes": 256}
    listener = await listen(**limits)
    target = b"/" + b"a" * 255
    fields = [b"Host: a", *(b"%d: %s" % (i, b"x" * 144) for i in range(7))]
    head = b"\r\n".join([b"OPTIONS " + target + b" HTTP/1.1", *fields, b"", b""])
    reader, writer = await connect(listener)
    for start in range(0, len(head), 100):
        writer.write(head[start : start + 100])
        await writer.drain()
        await asyncio.sleep(0.001)
    assert (await answer(reader))[0] == 200


async def test_the_longest_idle_connection_makes_room(listen):
    listener = await listen(max_connections=2)
    idle = [await connect(listener, REQUEST) for _ in range(2)]
    for reader, _ in idle:
        assert (await answer(reader))[0] == 200
    third, _ = await connect(listener, REQUEST)
    assert (await answer(third))[0] == 200
    assert await is_closed(idle[0][0])
    idle[1][1].write(REQUEST)
    assert (await answer(idle[1][0]))[0] == 200


@pytest.mark.parametrize("cap", ["max_connections", "max_connections_per_address"])
async def test_above_the_cap_a_connection_is_refused_where_none_is_idle(listen, cap):
    listener = await listen(**{cap: 2})
    busy = [await connect(listener, REQUEST[:-1]) for _ in range(2)]
    refused, _ = await connect(listener, REQUEST)
    status, headers, body = await answer(refused)
    assert problem(status, headers, body) == "too_many_connections"
    assert status == 503
    assert int(headers["retry-after"]) >= 1
    assert closed(listener, "too_many") == 1
    for reader, writer in busy:
        writer.write(b"i")
        assert (await answer(reader))[::2] == (200, b"hi")
    again, _ = await connect(listener, REQUEST)
    assert (await answer(again))[0] == 200


async def test_a_caller_who_does_not_read_is_cut(listen):
    listener = await listen(send_seconds=0.3)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    slow.connect(("127.0.0.1", listener.port))
    slow.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(SOON):
        while closed(listener, "unread_response") is None or listener.server_state.connections:
            await asyncio.sleep(0.05)
    slow.close()


async def test_the_time_to_take_a_response_does_not_run_on_into_the_next(listen):
    listener = await listen()
    reader, writer = await connect(listener, REQUEST)
    assert (await answer(reader))[0] == 200
    [connection] = listener.server_state.connections
    connection._start_send_timer()  # as a response leaves it that was taken a little later
    writer.write(REQUEST)
    assert (await answer(reader))[0] == 200
    assert connection._send_timer is None


async def test_a_large_response_reaches_a_caller_who_reads(listen):
    listener = await listen()
    reader, _ = await connect(listener, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len((await answer(reader))[2]) == LARGE


async def test_many_who_send_nothing_are_gone_soon_and_others_are_served(listen):
    listener = await listen(header_seconds=2)  # time to read what they sent before it is over
    silent = [await connect(listener, b"GET /" if i % 2 else b"") for i in range(100)]
    reader, _ = await connect(listener, REQUEST)
    assert (await answer(reader))[0] == 200
    for silent_reader, _ in silent:
        async with asyncio.timeout(SOON):
            await silent_reader.read()
    assert closed(listener, "late_head") == 100


async def test_an_upgrade_to_a_web_socket_is_answered_as_a_request(listen):
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    reader, _ = await connect(await listen(), b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade)
    assert (await answer(reader))[0] == 200
