"""The boundary alone, around an application that only echoes; ASGI messages are sent by hand."""

import asyncio
import json
import logging

import pytest

from app.boundary import Boundary
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.settings import Settings

SETTINGS = Settings(
    max_body_bytes=1_024,
    max_header_bytes=1_024,
    max_header_fields=8,
    max_target_bytes=256,
    body_seconds=0.2,
)


def call(app, *, chunks=(b"",), leave_after_body=False, **more):
    """Run one request; gives the status, headers and body, or None without an answer."""
    return asyncio.run(_call(app, chunks, leave_after_body, **more))


async def _call(
    app,
    chunks,
    leave_after_body,
    *,
    headers=(),
    path=b"/",
    query=b"",
    http_version="1.1",
    settings=SETTINGS,
    metrics=None,
    lifecycle=None,
):
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

    scope = {
        "type": "http",
        "http_version": http_version,
        "method": "POST",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),
    }
    boundary = Boundary(app, settings, metrics or Metrics(), lifecycle or Lifecycle())
    await boundary(scope, receive, send)
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


def test_two_ways_to_end_a_body_are_refused():
    both = [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]
    for headers in (both, both[::-1]):
        assert problem(call(echo, headers=headers))["code"] == "bad_request"
    assert call(echo, headers=both[1:])[0] == 200


@pytest.mark.parametrize(
    ("version", "status"), [("1.0", 200), ("1.1", 200), ("2.0", 400), ("9.9", 400)]
)
def test_only_the_versions_of_http_that_are_spoken_are_answered(version, status):
    assert call(echo, http_version=version)[0] == status


@pytest.mark.parametrize(("fields", "status"), [(7, 200), (8, 200), (9, 431)])
def test_header_fields_pass_up_to_their_number(fields, status):
    assert call(echo, headers=[(b"a", b"b")] * fields)[0] == status


@pytest.mark.parametrize(("size", "status"), [(1_023, 200), (1_024, 200), (1_025, 431)])
def test_header_fields_pass_up_to_their_size(size, status):
    answer = call(echo, headers=[(b"a" * 24, b"b" * (size - 24))])
    assert answer[0] == status
    assert (status == 200) or problem(answer)["code"] == "header_too_large"


@pytest.mark.parametrize(("size", "status"), [(255, 200), (256, 200), (257, 414)])
def test_an_address_with_its_query_passes_up_to_its_length(size, status):
    answer = call(echo, path=b"/" + b"a" * 99, query=b"b" * (size - 100))
    assert answer[0] == status
    assert (status == 200) or problem(answer)["code"] == "target_too_long"


@pytest.mark.parametrize(
    "host", [b"example.org", b"example.org:8000", b"127.0.0.1:80", b"[::1]:8000", b"a_b-c.d"]
)
def test_a_host_that_is_one_passes(host):
    assert call(echo, headers=[(b"host", host)])[0] == 200


@pytest.mark.parametrize(
    "host", [b"", b"evil/?@a b", b"a:b", b"a@b", b"[::1", b"a:123456", b"\xff"]
)
def test_a_host_that_is_none_is_refused(host):
    assert problem(call(echo, headers=[(b"host", host)]))["code"] == "invalid_host"


def test_only_allowed_hosts_pass_where_some_are_named():
    settings = Settings(allowed_hosts="translate.example.org, LOCALHOST")
    for host in (b"translate.example.org", b"Translate.Example.org:443", b"localhost:8000"):
        assert call(echo, headers=[(b"host", host)], settings=settings)[0] == 200
    for host in (b"example.org", b"x.translate.example.org", b"translate.example.org.evil"):
        answer = call(echo, headers=[(b"host", host)], settings=settings)
        assert problem(answer)["code"] == "invalid_host"


def test_a_body_that_stops_arriving_is_given_up():
    async def run():
        stopped = asyncio.Event()
        sent = []

        async def receive():
            return await stopped.wait()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"10")]}
        await Boundary(echo, SETTINGS, Metrics(), Lifecycle())(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    answer = asyncio.run(run())
    assert problem(answer)["code"] == "request_timeout"
    assert answer[1][b"connection"] == b"close"


def test_every_response_forbids_caches_and_browsers_to_use_it():
    for answer in (call(echo), call(echo, headers=[(b"host", b"/")])):
        headers = answer[1]
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"content-security-policy"].startswith(b"default-src 'none'")
        assert b"server" not in headers


def test_a_response_keeps_the_headers_that_it_names():
    async def page(_scope, _receive, send):
        headers = [(b"Cache-Control", b"max-age=60"), (b"content-security-policy", b"own")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    headers = call(page)[1]
    assert headers[b"cache-control"] == b"max-age=60"
    assert headers[b"content-security-policy"] == b"own"


def test_while_the_service_drains_connections_are_not_kept():
    lifecycle = Lifecycle()
    assert b"connection" not in call(echo, lifecycle=lifecycle)[1]
    lifecycle.drain()
    assert call(echo, lifecycle=lifecycle)[1][b"connection"] == b"close"


def test_a_request_that_the_server_cancels_is_refused_and_not_failed():
    async def wait_for_ever(_scope, _receive, _send):
        await asyncio.Event().wait()

    async def run():
        call = asyncio.ensure_future(_call(wait_for_ever, (b"",), leave_after_body=False))
        await asyncio.sleep(0.05)
        call.cancel()
        return await call

    answer = asyncio.run(run())
    assert problem(answer)["code"] == "not_ready"
    assert b"retry-after" in answer[1]


def sample(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"softalign_{name}", labels)


def test_a_request_is_counted_by_what_it_was_and_not_by_what_it_said():
    metrics = Metrics()
    call(echo, metrics=metrics, path=b"/secret")
    call(echo, metrics=metrics, headers=[(b"host", b"/")])
    labels = {"route": "unmatched", "method": "POST"}
    assert sample(metrics, "requests_total", **labels, status="200") == 1
    assert sample(metrics, "requests_total", **labels, status="400") == 1
    assert sample(metrics, "rejections_total", reason="invalid_host") == 1
    assert sample(metrics, "requests_in_progress") == 0
    assert b"secret" not in metrics.exposition()


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

        await Boundary(app, SETTINGS, Metrics(), Lifecycle())(
            {"type": "http", "method": "POST", "headers": []}, receive, send
        )

    asyncio.run(run())
    assert not started


def test_what_is_not_http_passes_untouched():
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope)

    asyncio.run(Boundary(app, SETTINGS, Metrics(), Lifecycle())({"type": "lifespan"}, None, None))
    assert seen == [{"type": "lifespan"}]
