"""What a trace tells of a request, and what it never tells."""

import gzip
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.main import create_app
from app.settings import Settings, SettingsError
from app.tracing import Tracing, open_tracing

pytestmark = pytest.mark.anyio

CANARY = "canary"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
BODY = {"text": f"The {CANARY}.", "source_lang": "en", "target_lang": "fr"}


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
async def traced(tiny_models, provider):
    app = create_app(Settings(), tiny_models, tracing=Tracing(provider))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=f"http://{CANARY}.test") as client,
    ):
        yield client


def the_request(exporter):
    [span] = [one for one in exporter.get_finished_spans() if one.kind is SpanKind.SERVER]
    return span


async def test_a_request_is_one_span_with_its_stages_in_it(traced, exporter):
    assert (await traced.post("/v1/translate", json=BODY)).status_code == 200
    request = the_request(exporter)
    stages = [span for span in exporter.get_finished_spans() if span is not request]
    for span in stages:
        assert span.parent.span_id == request.context.span_id
        assert request.start_time <= span.start_time <= span.end_time
    began = {span.name: span.start_time for span in stages}
    assert sorted(began, key=began.__getitem__) == ["read", "queue", "decode", "compose", "render"]


async def test_a_span_says_what_the_log_says(traced, exporter):
    await traced.post("/v1/translate", json=BODY)
    span = the_request(exporter)
    assert span.name == "POST /v1/translate"
    assert span.attributes["http.route"] == "/v1/translate"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["softalign.texts"] == 1
    assert span.attributes["softalign.model"].startswith("tiny@")
    assert span.attributes["softalign.source_tokens"] > 0
    assert span.status.status_code is StatusCode.UNSET


async def test_no_word_of_a_caller_is_in_a_trace(traced, exporter):
    headers = {
        "User-Agent": CANARY,
        "X-Request-Id": CANARY,
        "Idempotency-Key": CANARY,
        "traceparent": TRACEPARENT,
        "tracestate": f"vendor={CANARY}",
        "baggage": f"name={CANARY}",
    }
    stored = await traced.post("/v1/translate", json=BODY, headers=headers)
    await traced.get(stored.headers["Location"], headers=headers)
    await traced.get(f"/v1/{CANARY}?q={CANARY}", headers=headers)
    await traced.post("/v1/translate", content=f'{{"{CANARY}": 1}}', headers=headers)
    spans = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "GET /v1/translations/{record_id}" in spans or "GET /v1/translations/{id}" in spans
    assert CANARY not in spans
    assert stored.json()["id"] not in spans


async def test_a_trace_goes_on_where_the_caller_began_it(traced, exporter):
    answer = await traced.get("/v1/models", headers={"traceparent": TRACEPARENT})
    span = the_request(exporter)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{span.context.span_id:016x}-01"


@pytest.mark.parametrize(
    "given",
    ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", f"{TRACEPARENT}é"],
)
async def test_a_header_that_names_no_trace_begins_a_new_one(traced, exporter, given):
    await traced.get("/v1/models", headers={"traceparent": given.encode("latin-1")})
    assert the_request(exporter).parent is None


async def test_a_refused_request_has_its_code_and_is_no_failure(traced, exporter):
    answer = await traced.post("/v1/translate", json={**BODY, "text": ""})
    span = the_request(exporter)
    assert span.attributes["softalign.code"] == answer.json()["code"] == "empty_text"
    assert span.status.status_code is StatusCode.UNSET


async def test_a_failure_is_marked_without_its_words(traced, exporter, monkeypatch):
    async def fail(*_, **__):
        raise RuntimeError(CANARY)

    monkeypatch.setattr("app.service.Service.translate", fail)
    assert (await traced.post("/v1/translate", json=BODY)).status_code == 500
    span = the_request(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert CANARY not in span.to_json()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_are_not_traced(traced, exporter, path):
    assert "traceresponse" not in (await traced.get(path)).headers
    assert exporter.get_finished_spans() == ()


async def test_nothing_is_traced_unless_it_is_asked_for(client, exporter, provider, monkeypatch):
    # FastAPI's own spans, with paths and queries in them, would go to a provider of the process.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    answer = await client.post("/v1/translate", json=BODY, headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 200
    assert "traceresponse" not in answer.headers
    assert exporter.get_finished_spans() == ()


def test_an_endpoint_without_the_extra_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"TRACING_ENDPOINT needs the extra `tracing`"):
        open_tracing(Settings(tracing_endpoint="http://127.0.0.1:4318/v1/traces"))


def test_spans_reach_the_collector_when_the_service_ends():
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            received.append((self.path, gzip.decompress(body) if is_packed else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        tracing = open_tracing(Settings(tracing_endpoint=endpoint, tracing_share=1))
        with tracing.request([]) as span:
            span.describe("GET /v1/models", {})
        tracing.close()
        serving.join(60)
    [(path, body)] = received
    assert path == "/v1/traces"
    assert b"GET /v1/models" in body


def test_a_caller_who_does_not_decide_is_traced_by_the_share():
    tracing = open_tracing(Settings(tracing_endpoint="http://127.0.0.1:9/", tracing_share=0))
    with tracing.request([]) as span:
        is_sampled = int(span.traceresponse[-2:], 16) & 1
        assert not is_sampled
    tracing.close()
