"""The log says what happened and nothing of what was said."""

import json
import logging
import os

import pytest

from app.log_sink import LogSink, json_formatter
from app.metrics import Metrics

CANARY = "Schnabeltier"
KEY = "atk_live_abcdefgh_" + "s" * 43 + "_000000"


@pytest.fixture
def lines():
    """All that is logged, as the service would write it."""
    written = []

    class Keep(logging.Handler):
        def emit(self, record):
            if record.name != "httpx":  # the caller of these tests, which the service is not
                written.append(self.format(record))

    handler = Keep()
    handler.setFormatter(json_formatter())
    levels = {logging.getLogger(): logging.INFO, logging.getLogger("app"): logging.DEBUG}
    before = {logger: logger.level for logger in levels}
    logging.getLogger().addHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)
    yield written
    logging.getLogger().removeHandler(handler)
    for logger, level in before.items():
        logger.setLevel(level)


def of_requests(lines):
    events = [json.loads(line) for line in lines]
    return [event for event in events if event["logger"] == "app.request"]


@pytest.mark.anyio
async def test_a_request_is_one_line_with_lengths_and_names_of_ours(client, lines):
    body = {"text": ["The cat sleeps.", "Yes."], "alignment": None, "store": False}
    response = await client.post("/v1/translate", json=body, headers={"X-Request-Id": "abc-1"})
    [line] = of_requests(lines)
    assert line.pop("time").endswith("Z")
    assert line.pop("milliseconds") > 0
    assert line.pop("source_tokens") > 4
    assert line.pop("target_tokens") > 2
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "app.request",
        "method": "POST",
        "route": "/v1/translate",
        "status": 200,
        "request_id": "abc-1",
        "model": response.headers["x-model"],
        "texts": 2,
        "characters": 19,
    }


@pytest.mark.anyio
async def test_a_refusal_is_logged_with_its_code(client, lines):
    await client.post("/v1/translate", json={"text": " "})
    [line] = of_requests(lines)
    assert (line["status"], line["code"]) == (422, "empty_text")


@pytest.mark.anyio
async def test_what_probes_ask_is_not_worth_a_line(client, lines):
    for path in ("/livez", "/readyz"):
        assert (await client.get(path)).status_code == 200
    assert {line["level"] for line in of_requests(lines)} == {"debug"}


@pytest.mark.anyio
async def test_nothing_of_a_caller_is_logged_or_counted_whatever_happens(
    client, lines, monkeypatch
):
    headers = {"User-Agent": CANARY, "X-Other": CANARY, "Authorization": f"Bearer {KEY}"}
    own = {"User-Agent": CANARY, "X-Request-Id": f"{CANARY}\u00fc".encode("latin-1")}

    async def ask(status, **body):
        response = await client.post("/v1/translate", json=body, headers=own)
        assert response.status_code == status

    await ask(200, text=f"{CANARY} sleeps.", store=False)
    await ask(200, text=f"{CANARY} sleeps.")
    await ask(422, text=[f"{CANARY}.", " "])
    await ask(422, text=CANARY, **{CANARY: 1})
    await ask(422, text=CANARY, model=CANARY)
    await ask(504, text=f"{CANARY} sleeps. " * 20, deadline_ms=1, store=False)
    refused = await client.post(f"/v1/translate?{CANARY}", json={"text": CANARY}, headers=own)
    assert refused.status_code == 422
    assert (await client.get(f"/{CANARY}?q={CANARY}")).status_code == 404
    assert (await client.request(CANARY.upper(), "/v1/models")).status_code == 405
    assert (await client.get("/v1/models", headers=headers)).status_code == 401

    def crash(*_arguments, **_more):
        raise ValueError(CANARY)

    monkeypatch.setattr(client.app.state.service._translator, "_read", crash)
    await ask(500, text=f"{CANARY} sleeps.")
    assert any("ValueError" in line for line in lines)
    assert not [line for line in lines if CANARY in line or KEY in line or "127.0.0.1" in line]
    exposition = client.app.state.service.metrics.exposition().decode()
    assert CANARY.lower() not in exposition.lower()


@pytest.mark.anyio
async def test_callers_cannot_make_series(client):
    metrics = client.app.state.service.metrics

    async def ask(name):
        await client.get(f"/{name}?{name}", headers={"User-Agent": name, "X-Request-Id": name})
        await client.request(name.upper(), "/livez")
        await client.post("/v1/translate", json={"text": name, "model": name})

    await ask("first")
    before = len(metrics.exposition().splitlines())
    for index in range(100):
        await ask(f"other{index}")
    assert len(metrics.exposition().splitlines()) == before


@pytest.mark.parametrize(
    "text", ["two\nlines", '{"level": "error"}', "\x1b[31mred", "%s %d", "\u2028", "\ud800", "é"]
)
def test_every_line_is_one_object_whatever_it_tells(text):
    record = logging.LogRecord("app.test", logging.INFO, "", 0, "%s", (text,), None)
    line = json_formatter().format(record)
    assert json.loads(line)["event"] == text
    assert line.isascii()
    assert len(line.splitlines()) == 1


def test_an_exception_is_told_by_its_places_and_not_by_its_words():
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(CANARY)
    raised = (caught.type, caught.value, caught.tb)
    for logger in ("app.scheduler", "asyncio"):
        record = logging.LogRecord(logger, logging.ERROR, "", 0, "failed", (), raised)
        event = json.loads(json_formatter().format(record))
        assert CANARY not in json.dumps(event)
        assert event["exception"] == "ValueError"
        assert "test_an_exception_is_told" in event["places"][0]


def test_of_other_libraries_only_the_first_line_is_kept():
    text = f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{CANARY}')>"
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, text, (), None)
    assert CANARY not in json_formatter().format(record)


def test_a_sink_that_nobody_reads_drops_lines_and_blocks_nobody():
    reading, writing = os.pipe()
    metrics = Metrics()
    sink = LogSink(writing, metrics, capacity=5)
    record = logging.LogRecord("app", logging.INFO, "", 0, "x" * 100_000, (), None)
    for _ in range(20):
        sink.emit(record)
    sink.drain(0.1)
    dropped = metrics.registry.get_sample_value("softalign_log_lines_dropped_total")
    assert 10 <= dropped < 20
    received = b""
    while received.count(b"\n") < 20 - dropped:
        received += os.read(reading, 65_536)
    assert all(json.loads(line) for line in received.splitlines())
    sink.drain(60)
    os.close(reading)
    os.close(writing)


def test_a_closed_sink_drops_lines():
    reading, writing = os.pipe()
    os.close(reading)
    metrics = Metrics()
    sink = LogSink(writing, metrics)
    sink.emit(logging.LogRecord("app", logging.INFO, "", 0, "text", (), None))
    sink.drain(60)
    assert metrics.registry.get_sample_value("softalign_log_lines_dropped_total") == 1
    os.close(writing)


@pytest.mark.anyio
async def test_files_of_the_page_are_named_and_never_by_what_was_asked_for(client, lines):
    for path in ("/", "/page/page.js", f"/page/{CANARY}"):
        await client.get(path)
    routes = [line["route"] for line in of_requests(lines)]
    assert routes == ["/", "/page/{file}", "/page/{file}"]
