"""One line for each request, and its counters: never anything that a caller wrote.

What a line may hold is the fixed list of `Facts`, lengths and names of ours. A text, a
translation, a key, an address, a query or a header of a caller has no field that it could be in.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypedDict

import structlog
from starlette.types import Scope

from app.metrics import METHODS, UNMATCHED, Metrics
from app.reply import Reply
from app.tracing import RequestSpan

log = logging.getLogger(__name__)


QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
"""What machines ask every few seconds: logged only where it went wrong."""


class Facts(TypedDict, total=False):
    """What a handler may tell of its request, in `request.state.facts`."""

    model: str
    """Name and digest of the model."""
    key_id: str
    """The public part of the key."""
    texts: int
    characters: int
    source_tokens: int
    target_tokens: int
    failed_texts: int
    first_token_ms: float


requests: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("app.request"),
    processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    wrapper_class=structlog.stdlib.BoundLogger,
)


def record_request(scope: Scope, reply: Reply, metrics: Metrics) -> None:
    """Count and log a request that has been answered, or whose caller has left."""
    route, method = route_of(scope), method_of(scope)
    status = "left" if reply.status is None or not reply.complete else str(reply.status)
    problem = reply.problem or scope["state"].get("problem")
    seconds = reply.seconds
    metrics.requests.labels(route, method, status).inc()
    metrics.request_seconds.labels(route).observe(seconds)
    if problem is not None:
        metrics.rejections.labels(problem).inc()
    fields: dict[str, Any] = {
        "request_id": reply.request_id,
        "method": method,
        "route": route,
        "status": reply.status,
        "milliseconds": round(1000 * seconds, 1),
        **scope["state"]["facts"],
    }
    if problem is not None:
        fields["code"] = problem
    if not reply.complete:
        fields["caller_left"] = True
    _level(route, reply.status)("request", **fields)


def describe_span(span: RequestSpan, scope: Scope, reply: Reply) -> None:
    """Say in the span of a request what the log says of it, but for its id and key."""
    route, method = route_of(scope), method_of(scope)
    facts: dict[str, Any] = {**scope["state"]["facts"]}
    facts.pop("key_id", None)
    problem = reply.problem or scope["state"].get("problem")
    if problem is not None:
        facts["code"] = problem
    attributes = {f"softalign.{name}": value for name, value in facts.items()}
    attributes |= {"http.request.method": method, "http.route": route}
    if reply.status is not None:
        attributes["http.response.status_code"] = reply.status
    span.describe(f"{method} {route}", attributes)
    if reply.status is not None and reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail()


def _level(route: str, status: int | None) -> Callable[..., Any]:
    if status == 500:
        return requests.error
    if status == 200 and route in QUIET_ROUTES:
        return requests.debug
    return requests.info


def route_of(scope: Scope) -> str:
    """The template of the route that was taken, never the path that was asked for.

    A request that is refused before it is routed has its path in `state`, if that is one of ours.
    """
    path: str | None = getattr(scope.get("route"), "path", None) or scope["state"].get("path")
    return path or UNMATCHED


def method_of(scope: Scope) -> str:
    """The method, if it is one of those that exist."""
    method: str = scope.get("method", "")
    return method if method in METHODS else "other"


def log_failure(error: BaseException, request_id: str) -> None:
    """Log where an unexpected exception came from."""
    log.error(
        "request %s failed with %s\n  %s",
        request_id,
        type(error).__name__,
        "\n  ".join(places(error.__traceback__)),
    )


def places(traceback: TracebackType | None) -> list[str]:
    """Where an exception came from, without its own words, which may quote a caller's."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return found
