"""The boundary alone, around an application that only echoes; ASGI messages are sent by hand."""

import asyncio
import json
import logging

import pytest

from app.boundary import Boundary
from app.settings import Settings

SETTINGS = Settings(max_body_bytes=1_024, max_header_bytes=1_024, max_header_fields=8)


def call(app, *, headers=(), chunks=(b"",), leave_after_body=False):
    """Run one request; gives the status, headers and body, or None without an answer."""
    return asyncio.run(_call(app, headers, chunks, leave_after_body))


async def _call(app, headers, chunks, leave_after_body):
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)}
        for i, chunk in enumerate(chunks)
    ]
    if leave_after_body:
        messages.append({"type": "http.disconnect"})
    sent = []

    async def receive():
        if messages:
            return messages.pop(0)
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    await Boundary(app, SETTINGS)(scope, receive, send)
    if not sent:
        return None
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


async def echo(_scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def problem(answer):
    status, headers, body = answer
    assert headers[b"content-type"] == b"application/problem+json"
    document = json.loads(body)
    assert document["status"] == status
    assert isinstance(document["detail"], str)
    assert document["request_id"].encode() == headers[b"x-request-id"]
    return document


def test_a_body_in_chunks_arrives_whole():
    status, headers, body = call(echo, chunks=[b"a", b"", b"bc"])
    assert (status, body) == (200, b"abc")
    assert headers[b"server-timing"].startswith(b"total;dur=")


@pytest.mark.parametrize("size", [1_023, 1_024])
def test_a_body_up_to_the_limit_passes(size):
    assert call(echo, chunks=[b"x" * size])[0] == 200


@pytest.mark.parametrize("announced", [b"1025", b"-1", b"1" * 30, b"1_0", b"x"])
def test_a_large_announced_body_is_refused_unread(announced):
    answer = call(echo, headers=[(b"content-length", announced)], chunks=[])
    assert problem(answer)["code"] == "body_too_large"
    assert answer[1][b"Connection".lower()] == b"close"


def test_a_large_unannounced_body_is_refused_while_it_arrives():
    assert problem(call(echo, chunks=[b"x" * 700] * 1_000))["code"] == "body_too_large"


def test_compressed_bodies_are_refused():
    answer = call(echo, headers=[(b"content-encoding", b"gzip")])
    assert problem(answer)["code"] == "unsupported_encoding"
    assert call(echo, headers=[(b"content-encoding", b"identity")])[0] == 200


@pytest.mark.parametrize("headers", [[(b"a", b"b")] * 9, [(b"a", b"b" * 1_024)]])
def test_too_many_or_too_large_header_fields_are_refused(headers):
    assert problem(call(echo, headers=headers))["status"] == 431


def test_a_safe_request_id_is_kept_and_others_are_replaced():
    assert call(echo, headers=[(b"x-request-id", b"abc-1")])[1][b"x-request-id"] == b"abc-1"
    for unsafe in (b"", b"a b", b"a\r\nb", b"\xff", b"x" * 65):
        assert call(echo, headers=[(b"x-request-id", unsafe)])[1][b"x-request-id"] != unsafe


def test_an_exception_becomes_a_problem_and_its_text_is_not_logged(caplog):
    async def fail(_scope, _receive, _send):
        raise ValueError("the caller's secret")

    with caplog.at_level(logging.ERROR):
        answer = call(fail)
    assert problem(answer)["code"] == "internal_error"
    assert "secret" not in caplog.text
    assert "ValueError" in caplog.text
    assert " fail" in caplog.text


def test_work_is_cancelled_when_the_caller_leaves():
    ended = []

    async def wait_for_ever(_scope, _receive, _send):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    assert call(wait_for_ever, leave_after_body=True) is None
    assert ended == [True]


def test_a_caller_who_leaves_while_sending_starts_no_work():
    started = []

    async def app(_scope, _receive, _send):
        started.append(True)

    async def run():
        messages = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive():
            return messages.pop(0)

        async def send(message):
            raise AssertionError(message)

        await Boundary(app, SETTINGS)({"type": "http", "headers": []}, receive, send)

    asyncio.run(run())
    assert not started


def test_what_is_not_http_passes_untouched():
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope)

    asyncio.run(Boundary(app, SETTINGS)({"type": "lifespan"}, None, None))
    assert seen == [{"type": "lifespan"}]
