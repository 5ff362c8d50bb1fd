"""Traces for OpenTelemetry: a span for each request, and in it the wait and the work.

FastAPI can make spans by itself, but writes the path, the query and the host of a request into
them: words of a caller, and ids that a record can be read by. Those are off
(`FRAMEWORK_TELEMETRY`); ours hold names of ours, lengths and times. Without an endpoint no span is
made, and nothing is imported but the interface, which FastAPI brings.
"""

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from fastapi.telemetry import TelemetryConfig
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.settings import PREFIX, Settings, SettingsError

FRAMEWORK_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""What FastAPI is told to do by itself: nothing, whatever the environment says."""

CLOSING_SECONDS = 1.0
"""Longest wait at the end for a collector that does not take the last spans."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
"""Of the request that is being answered, where it is traced."""


class RequestSpan:
    """The span of one request while it is answered; there is none where nothing is traced."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    @property
    def traceresponse(self) -> bytes | None:
        """Where the trace can be found, as a header (W3C Trace Context, level 2)."""
        if self._span is None:
            return None
        context = self._span.get_span_context()
        return (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
        )

    def describe(self, name: str, attributes: Mapping[str, str | int | float]) -> None:
        """Say what it was, once that is known."""
        if self._span is not None:
            self._span.update_name(name)
            self._span.set_attributes(attributes)

    def fail(self) -> None:
        """Mark the request as failed by our own fault."""
        if self._span is not None:
            self._span.set_status(StatusCode.ERROR)


class Tracing:
    """Makes the spans of one service; without a `provider` it makes none."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("softalign", __version__) if provider else None

    @contextmanager
    def request(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[RequestSpan]:
        """The span of a request with these headers, as a part of the trace that they name."""
        if self._tracer is None:
            yield RequestSpan()
            return
        with self._tracer.start_as_current_span(
            "request",
            context=_parent(headers),
            kind=SpanKind.SERVER,
            # The words of an exception may quote a caller's.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            token = _tracer.set(self._tracer)
            try:
                yield RequestSpan(span)
            finally:
                _tracer.reset(token)

    def close(self) -> None:
        """Send what was not sent yet, to a collector that takes it; waits a second at most."""
        shutdown = getattr(self._provider, "shutdown", None)
        if shutdown is not None:
            # A thread that nobody waits for at the end of the process.
            closing = threading.Thread(target=shutdown, name="closing traces", daemon=True)
            closing.start()
            closing.join(CLOSING_SECONDS)


def _parent(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """The caller's span. `tracestate` and `baggage` hold words of theirs and are not taken."""
    given = [value for name, value in headers if name == b"traceparent"]
    if len(given) != 1 or not _TRACEPARENT.fullmatch(given[0]):
        return Context()
    carrier = {"traceparent": given[0].decode("ascii")}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def record_span(name: str, began: float, ended: float) -> None:
    """Add work of the current request to its trace; both are moments of `time.monotonic`."""
    tracer = _tracer.get()
    if tracer is None:
        return
    offset = time.time_ns() - time.monotonic_ns()
    span = tracer.start_span(name, start_time=int(began * 1e9) + offset)
    span.end(int(ended * 1e9) + offset)


def open_tracing(settings: Settings) -> Tracing:
    """Tracing as the settings ask for it; raises SettingsError where the extra is missing."""
    if settings.tracing_endpoint is None:
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider as Provider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError:
        raise SettingsError(
            f"{PREFIX}TRACING_ENDPOINT needs the extra `tracing`: pip install 'softalign[tracing]'"
        ) from None
    provider = Provider(
        sampler=ParentBasedTraceIdRatio(settings.tracing_share),
        resource=Resource.create({"service.name": "softalign", "service.version": __version__}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=settings.tracing_endpoint)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)
