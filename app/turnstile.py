"""Turns a request away before it is parsed, where one just like it was turned away a moment ago.

Callers who are told that there is no room ask again, on the same connection and with the same head.
Under ten times the load a service can bear, parsing those heads alone takes a good part of what
there is for those who are let in. So the head of a request that the doorkeeper has refused
(`app/doorkeeper.py`) is remembered, as a digest: the same bytes from the same address have passed
every check of a head already, and whether there is room is all that is left to ask.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Scope

from app.doorkeeper import MOST_BYTES, Doorkeeper, looks_of
from app.errors import PROBLEMS, ServiceError
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.reply import (
    HeaderList,
    header_values,
    new_request_id,
    own_request_id,
    raw_problem,
    with_private_headers,
)

log = logging.getLogger(__name__)

END_OF_HEAD = b"\r\n\r\n"

MOST_HEAD_BYTES = 4_096
"""Of a head that is remembered."""

MAX_REMEMBERED = 10_000

SECONDS_BETWEEN_LINES = 1.0
"""Between two lines of the log, which tell how many were turned away here."""

CHANGING_HEADERS = frozenset({b"expect", b"transfer-encoding", b"upgrade", b"traceparent"})
"""A head with any of these is not remembered: it asks for more, or is another each time."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a head."""

    looks: bytes
    """Who asks, as the doorkeeper tells callers apart."""
    path: str
    body_bytes: int
    request_id: str | None
    """The caller's own, which the answer repeats."""


class Turnstile:
    """Remembers heads that were refused; every method belongs to the event loop."""

    def __init__(self, doorkeeper: Doorkeeper, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._doorkeeper = doorkeeper
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._untold = 0
        """Refusals that the log does not know of yet."""

    def remember(self, scope: Scope, address: str, request: bytes) -> None:
        """`request`, whose bytes came in one piece from `address`, was answered.

        Only what the doorkeeper has refused is remembered.
        """
        if not scope["state"].get("turned_away"):
            return
        head, body = _parts(request)
        headers = scope["headers"]
        if not head or not _is_plain(scope) or _body_bytes(headers) != len(body):
            return
        key = _digest(address, head)
        given = own_request_id(headers)
        known = _Known(looks_of(scope), scope["path"], len(body), given)
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    def refusal(self, address: str, request: bytes, headers: HeaderList) -> bytes | None:
        """The whole answer to `request` where there is no room for it; None: it goes on its way.

        `headers` are the server's own, which every answer has.
        """
        if not self._known or self._lifecycle.draining:
            return None
        began = time.monotonic()
        head, body = _parts(request)
        known = self._known.get(_digest(address, head)) if head else None
        if known is None or known.body_bytes != len(body):
            return None
        error = self._doorkeeper.refusal_of(known.looks, body)
        if error is None:
            return None
        seconds = time.monotonic() - began
        self._count(known.path, error, seconds)
        return _response(error, known.request_id or new_request_id(), seconds, headers)

    def _count(self, route: str, error: ServiceError, seconds: float) -> None:
        status = str(PROBLEMS[error.code].status)
        self._metrics.requests.labels(route, "POST", status).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        self._metrics.rejections.labels(error.code).inc()
        if not self._untold:
            asyncio.get_running_loop().call_later(SECONDS_BETWEEN_LINES, self._tell)
        self._untold += 1

    def _tell(self) -> None:
        log.info("%d requests were turned away unread: there is no room", self._untold)
        self._untold = 0


def _parts(request: bytes) -> tuple[bytes, bytes]:
    """Head and body; without a head where it is not complete, or is not worth the trouble."""
    end = request.find(END_OF_HEAD, 0, MOST_HEAD_BYTES) + len(END_OF_HEAD)
    if end < len(END_OF_HEAD) or len(request) - end > MOST_BYTES:
        return b"", b""
    return request[:end], request[end:]


def _digest(address: str, head: bytes) -> bytes:
    """A head and where it came from, without the key that it may hold."""
    return hashlib.blake2b(address.encode() + b"\n" + head).digest()


def _is_plain(scope: Scope) -> bool:
    """Whether all there is to do is to answer, and to keep the connection."""
    headers = scope["headers"]
    if scope["http_version"] != "1.1" or any(name in CHANGING_HEADERS for name, _ in headers):
        return False
    return all(value.lower() == b"keep-alive" for value in header_values(headers, b"connection"))


def _body_bytes(headers: HeaderList) -> int | None:
    match header_values(headers, b"content-length"):
        case [length]:
            return int(length)
    return None


def _response(error: ServiceError, request_id: str, seconds: float, own: HeaderList) -> bytes:
    status, headers, body = raw_problem(error, request_id)
    fields: Iterable[tuple[bytes, bytes]] = (
        *own,
        *with_private_headers(headers),
        (b"x-request-id", request_id.encode()),
        (b"server-timing", f"total;dur={1000 * seconds:.1f}".encode()),
    )
    lines = b"".join(b"%s: %s\r\n" % field for field in fields)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, HTTPStatus(status).phrase.encode(), lines, body)
