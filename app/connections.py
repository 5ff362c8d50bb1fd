"""The connections of a listener: how many there may be, and how long a request's head may take.

uvicorn has no deadline for receiving a request: a silent connection, or one that sends a byte a
second, would stay for ever. This is its protocol class with the deadlines and caps that are
missing. It answers in the shape of all other errors where there is still a way to answer.
"""

import asyncio
import logging
import socket
import sys
from http import HTTPStatus
from typing import Any, Protocol, cast

import h11
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from app.chunk_limit import MOST_CHUNKS, TOO_MANY_CHUNKS, ChunkLimitedConnection
from app.errors import RetryableError, ServiceError, UnreadableRequestError
from app.lingering import LingeringTransport
from app.metrics import Metrics
from app.receipt import header_too_large
from app.reply import HeaderList, new_request_id, raw_problem, with_private_headers
from app.settings import Settings

__all__ = ["LimitedProtocol", "largest_head"]

log = logging.getLogger(__name__)

FIELD_SEPARATORS = 4
"""Bytes of a header field besides its name and value: colon, space, CR and LF."""
MOST_KEPT_BYTES = 8_192
"""Of a request that is kept until it is answered, for the turnstile to know it again."""
REQUEST_LINE_EXTRAS = 64
"""Bytes of a request line besides its address: method, version, spaces and line ends."""


class Turnstile(Protocol):
    """Answers some requests before they are parsed (`app/turnstile.py`)."""

    def remember(self, scope: Scope, address: str, request: bytes) -> None:
        """`request`, which came in one piece and was read as `scope`, is answered."""
        ...

    def refusal(self, address: str, request: bytes, headers: HeaderList) -> bytes | None:
        """The whole answer to such a request, with the server's own `headers`; None to parse it."""
        ...


def largest_head(settings: Settings) -> int:
    """Bytes of the largest head that is within the limits of `app/receipt.py`, as it is sent."""
    fields = settings.max_header_bytes + FIELD_SEPARATORS * settings.max_header_fields
    return fields + settings.max_target_bytes + REQUEST_LINE_EXTRAS


class LimitedProtocol(H11Protocol):
    """One connection; created by the listener's server for each."""

    connections: "set[LimitedProtocol]"  # type: ignore[assignment]
    transport: LingeringTransport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        settings: Settings,
        metrics: Metrics,
        turnstile: Turnstile | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = ChunkLimitedConnection(largest_head(settings))
        self._settings = settings
        self._metrics = metrics
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._turnstile = turnstile
        self._request = b""
        """The request at hand, where it came in one piece."""
        self._head_began = False
        """Whether any byte of the first head has arrived."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it where there are as many as may be."""
        super().connection_made(LingeringTransport(transport, self._is_sending, self.loop))
        self._metrics.connections.set(len(self.connections))
        _limit_unacknowledged(transport, self._settings.send_seconds)
        if self._has_place():
            self._start_head_timer()
        else:
            self._close("too_many", self._too_many())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if isinstance(exc, TimeoutError):  # the kernel was first to give up, as it was told to
            self._metrics.connections_closed.labels("unread_response").inc()
        self.transport.forget()
        self._stop_head_timer()
        self._stop_send_timer()
        self._metrics.connections.set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        if self.transport.is_closing():
            self.transport.discard(data)
            return
        self._head_began = True
        is_first = self._is_between_requests()
        if is_first:
            self._stop_send_timer()  # the response before was taken; the next one has its own time
            if self._turn_away(data):
                return
        self._request = data if is_first and len(data) <= MOST_KEPT_BYTES else b""
        super().data_received(data)
        self._watch_head()

    def _is_between_requests(self) -> bool:
        """Whether nothing of a request has come, and all of the response before has left."""
        is_idle = self.conn.our_state is self.conn.their_state is h11.IDLE
        return (
            is_idle
            and not self.conn.trailing_data[0]
            and not self.transport.get_write_buffer_size()
        )

    def _turn_away(self, data: bytes) -> bool:
        """Answer a request that is refused for want of room, if it is known to be; else False."""
        if self._turnstile is None:
            return False
        answer = self._turnstile.refusal(self.peer, data, self.server_state.default_headers)
        if answer is None:
            return False
        self._stop_head_timer()
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the caller to take this response."""
        if self._turnstile is not None and self._request:
            self._turnstile.remember(cast("Scope", self.scope), self.peer, self._request)
        self._request = b""
        super().on_response_complete()
        self._watch_head()
        if self.transport.get_write_buffer_size():
            self._start_send_timer()

    def pause_writing(self) -> None:
        """The caller does not take what is sent."""
        super().pause_writing()
        self._start_send_timer()

    def resume_writing(self) -> None:
        """The caller takes it again."""
        super().resume_writing()
        self._stop_send_timer()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text
        """Refuse what is not HTTP; called where h11 has raised."""
        raised = sys.exception()
        hint = raised.error_status_hint if isinstance(raised, h11.RemoteProtocolError) else 400
        if hint == TOO_MANY_CHUNKS:
            message = f"A body may come in {MOST_CHUNKS} chunks; send larger ones."
            error = UnreadableRequestError("body_too_large", message)
        elif hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            error = header_too_large(self._settings)
        else:
            error = UnreadableRequestError("bad_request", "This is not HTTP/1.1.")
        self._close("malformed", error)

    # The number of connections.

    def _has_place(self) -> bool:
        """Whether this connection may stay; the longest idle one makes room for it."""
        of_address, of_all = (
            self._settings.max_connections_per_address,
            self._settings.max_connections,
        )
        if len(self.connections) <= min(of_address, of_all):
            return True  # without a look at each, which a flood of connections would pay for
        neighbours = [one for one in self.connections if one.peer == self.peer]
        return self._fits(neighbours, of_address) and self._fits(list(self.connections), of_all)

    @property
    def peer(self) -> str:
        """Address at the other end."""
        return self.client[0] if self.client else ""

    def _fits(self, connections: "list[LimitedProtocol]", limit: int) -> bool:
        open_now = [one for one in connections if not one.transport.is_gone]
        if len(open_now) <= limit:
            return True
        idle = [(one.idle_until, one) for one in open_now if one.idle_until is not None]
        if not idle:
            return False
        min(idle, key=lambda pair: pair[0])[1].timeout_keep_alive_handler()
        return True

    @property
    def idle_until(self) -> float | None:
        """When this connection would be closed for being idle; None while a request is on it."""
        timer = self.timeout_keep_alive_task
        return None if timer is None else timer.when()

    def _too_many(self) -> ServiceError:
        return RetryableError(
            "too_many_connections",
            f"There may be {self._settings.max_connections} connections, and "
            f"{self._settings.max_connections_per_address} from one address.",
            self._settings.retry_after_seconds,
        )

    def _is_sending(self) -> bool:
        """Whether a part of a request has come, and the rest of it may be on its way."""
        state = self.conn.their_state
        return state in (h11.SEND_BODY, h11.ERROR) or bool(self.conn.trailing_data[0])

    # The head of a request.

    def _watch_head(self) -> None:
        """Time the head while it is being received, and only then."""
        is_receiving = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not is_receiving:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._settings.header_seconds, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        error = UnreadableRequestError(
            "request_timeout",
            f"The head of a request has {self._settings.header_seconds:g} seconds to arrive.",
        )
        # Nobody has asked anything of a connection on which nothing was sent.
        self._close("late_head", error if self._head_began else None)

    # The end of a connection.

    def _start_send_timer(self) -> None:
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(
                self._settings.send_seconds, self._response_is_stuck
            )

    def _response_is_stuck(self) -> None:
        self._send_timer = None
        if self.transport.get_write_buffer_size():
            self._metrics.connections_closed.labels("unread_response").inc()
            self.transport.abort()

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _close(self, reason: str, error: ServiceError | None) -> None:
        """Close, with an answer where none has begun."""
        self._metrics.connections_closed.labels(reason).inc()
        self._stop_head_timer()
        if error is not None and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._metrics.rejections.labels(error.code).inc()
            self.transport.write(self._raw_response(error))
        self.transport.close()
        self._start_send_timer()

    def _raw_response(self, error: ServiceError) -> bytes:
        request_id = new_request_id()
        status, headers, body = raw_problem(error, request_id)
        own = [(b"connection", b"close"), (b"x-request-id", request_id.encode())]
        events = (
            h11.Response(status_code=status, headers=with_private_headers([*headers, *own])),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        return b"".join(self.conn.send(event) or b"" for event in events)


def _limit_unacknowledged(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel give up a peer that takes nothing any more, also while the socket closes."""
    connection = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux only
    if option is not None and connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, option, int(1000 * seconds))
