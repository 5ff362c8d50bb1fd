"""How every response leaves: with its request's id, its timing, and headers that protect it."""

import json
import re
import secrets
import time
from collections.abc import Iterable
from typing import NamedTuple

from starlette.types import Message, Scope, Send

from app.errors import PROBLEMS, ServiceError, problem_document

PROBLEM_MEDIA_TYPE = "application/problem+json"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

HeaderList = list[tuple[bytes, bytes]]

DOCUMENT_POLICY = b"; ".join(
    [
        b"default-src 'none'",
        b"script-src 'self' 'unsafe-inline'",
        b"style-src 'self' 'unsafe-inline'",
        b"img-src 'self' data:",
        b"connect-src 'self'",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    ]
)
"""Content policy of a page that names none: `/docs`, whose own script stands in the page."""

PRIVATE_HEADERS: HeaderList = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""What every response has unless it says otherwise: kept by no cache, run by no browser."""


class RawProblem(NamedTuple):
    """A problem response as bytes."""

    status: int
    headers: HeaderList
    body: bytes


def raw_problem(error: ServiceError, request_id: str) -> RawProblem:
    """The response for `error`, without what `Reply` adds to all."""
    document = problem_document(error.code, error.detail, error.errors, request_id)
    body = json.dumps(document).encode()
    headers = {
        "content-type": PROBLEM_MEDIA_TYPE,
        "content-length": str(len(body)),
        **error.headers,
    }
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return RawProblem(PROBLEMS[error.code].status, encoded, body)


def new_request_id() -> str:
    """An id for a request whose caller gave none."""
    return secrets.token_urlsafe(12)


def request_id(scope: Scope) -> str:
    """The caller's own id where it is safe to repeat, else a new one."""
    return own_request_id(scope["headers"]) or new_request_id()


def own_request_id(headers: HeaderList) -> str | None:
    """The id that the caller gave a request, where it is safe to repeat."""
    for given in header_values(headers, b"x-request-id"):
        if _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
    return None


def header_values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    """All values of one header field; `wanted` and the names are in lower case."""
    return [value for name, value in headers if name == wanted]


def with_private_headers(headers: HeaderList) -> HeaderList:
    """`headers` with those of `PRIVATE_HEADERS` that they leave open; names in lower case."""
    given = {name for name, _ in headers}
    added = [pair for pair in PRIVATE_HEADERS if pair[0] not in given]
    if any(value.startswith(b"text/html") for value in header_values(headers, b"content-type")):
        added = [
            (name, DOCUMENT_POLICY if name == b"content-security-policy" else value)
            for name, value in added
        ]
    return [*headers, *added]


class Reply:
    """Passes the response of one request on, and remembers how it went."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._began = time.monotonic()
        self.request_id = request_id
        self.last_on_connection = False
        """Set to have the connection closed behind this response."""
        self.traceresponse: bytes | None = None
        """Set to tell the caller where the trace of the request is."""
        self.status: int | None = None
        """None until the response has begun."""
        self.problem: str | None = None
        """The code, where the response is a problem that this class was given."""
        self.complete = False

    @property
    def seconds(self) -> float:
        """Since the head of the request arrived."""
        return time.monotonic() - self._began

    async def send(self, message: Message) -> None:
        """Send one ASGI message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._headers(message)
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    def _headers(self, message: Message) -> HeaderList:
        headers = [(name.lower(), value) for name, value in message.get("headers", [])]
        total = f"total;dur={1000 * self.seconds:.1f}".encode()
        timings = [*header_values(headers, b"server-timing"), total]
        kept = [pair for pair in headers if pair[0] != b"server-timing"]
        if self.last_on_connection and not header_values(headers, b"connection"):
            kept.append((b"connection", b"close"))
        if self.traceresponse is not None:
            kept.append((b"traceresponse", self.traceresponse))
        return [
            *with_private_headers(kept),
            (b"x-request-id", self.request_id.encode()),
            (b"server-timing", b", ".join(timings)),
        ]

    async def send_problem(self, error: ServiceError) -> None:
        """Send the whole response for `error`."""
        self.problem = error.code
        status, headers, body = raw_problem(error, self.request_id)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
