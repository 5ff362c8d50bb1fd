"""The outermost layer: what every request passes before anything of it is looked at.

It gives the request an id, holds the limits on headers and body, refuses compressed bodies, reads
the body, notices a caller who leaves (and cancels the work for them), turns an unexpected exception
into a problem response, and says in `Server-Timing` how long it took. All of it in plain ASGI: the
framework itself lets a handler run on when its caller has left.
"""

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ServiceError, UnreadableRequestError, problem_document
from app.settings import Settings

log = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Boundary:
    """ASGI middleware around the whole application; see the module's text."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(send, _request_id(scope))
        scope.setdefault("state", {})["request_id"] = response.request_id
        try:
            self._check_headers(scope)
            body = await self._read_body(scope, receive)
        except ServiceError as error:
            # The rest of the body was not read, so the connection cannot carry another request.
            error.headers["Connection"] = "close"
            await response.send_problem(error)
            return
        except _CallerLeftError:
            return
        await self._run(scope, body, receive, response)

    async def _run(
        self, scope: Scope, body: bytes, receive: Receive, response: "_Response"
    ) -> None:
        """Run the application until it has answered or its caller has left."""
        caller_left = asyncio.Event()
        work = asyncio.ensure_future(self._app(scope, _replay(body, caller_left), response.send))
        watch = asyncio.ensure_future(_wait_for_disconnect(receive, caller_left))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if caller_left.is_set() and not response.complete:
                work.cancel()
            await work
        except asyncio.CancelledError:
            if not caller_left.is_set():
                raise
        except Exception as error:  # noqa: BLE001 - the last line of defence
            _log_failure(error, response.request_id)
            if not response.started:
                await response.send_problem(
                    ServiceError("internal_error", "The log has the cause under this request's id.")
                )
        finally:
            for task in (work, watch):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def _check_headers(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        if (
            len(headers) > self._settings.max_header_fields
            or size > self._settings.max_header_bytes
        ):
            raise UnreadableRequestError(
                "header_too_large",
                f"A request may have {self._settings.max_header_fields} header fields and "
                f"{self._settings.max_header_bytes} bytes in them.",
            )
        for encoding in _values(headers, b"content-encoding"):
            if encoding.strip().lower() not in (b"", b"identity"):
                raise UnreadableRequestError(
                    "unsupported_encoding", "Send the body as it is, without Content-Encoding."
                )

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._settings.max_body_bytes
        announced = next(iter(_values(scope["headers"], b"content-length")), b"0")
        if not announced.isdigit() or len(announced) > 18 or int(announced) > limit:
            raise _body_too_large(limit)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _CallerLeftError
            body += message.get("body", b"")
            if len(body) > limit:
                raise _body_too_large(limit)
            if not message.get("more_body", False):
                return bytes(body)


class _CallerLeftError(Exception):
    """The connection closed while the body was still being read."""


class _Response:
    """Passes a response on, with the id and the timing of its request in the headers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._began = time.monotonic()
        self.request_id = request_id
        self.started = False
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            total = f"total;dur={1000 * (time.monotonic() - self._began):.1f}".encode()
            headers = [(name.lower(), value) for name, value in message.get("headers", [])]
            timings = [*_values(headers, b"server-timing"), total]
            kept = [pair for pair in headers if pair[0] != b"server-timing"]
            message["headers"] = [
                *kept,
                (b"x-request-id", self.request_id.encode()),
                (b"server-timing", b", ".join(timings)),
            ]
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    async def send_problem(self, error: ServiceError) -> None:
        document = problem_document(error.code, error.detail, error.errors, self.request_id)
        body = json.dumps(document).encode()
        headers = {
            "Content-Type": PROBLEM_MEDIA_TYPE,
            "Content-Length": str(len(body)),
            **error.headers,
        }
        await self.send(
            {
                "type": "http.response.start",
                "status": document["status"],
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await self.send({"type": "http.response.body", "body": body})


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _request_id(scope: Scope) -> str:
    """The caller's own id where it is safe to repeat, else a new one."""
    for given in _values(scope["headers"], b"x-request-id"):
        if _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
    return secrets.token_urlsafe(12)


def _body_too_large(limit: int) -> UnreadableRequestError:
    return UnreadableRequestError("body_too_large", f"A body may have {limit} bytes.")


def _replay(body: bytes, caller_left: asyncio.Event) -> Receive:
    """A `receive` that hands out the body once and then waits for the caller to leave."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await caller_left.wait()
        return {"type": "http.disconnect"}

    return receive


async def _wait_for_disconnect(receive: Receive, caller_left: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    caller_left.set()


def _log_failure(error: Exception, request_id: str) -> None:
    """Log where it happened without the exception's own text, which may quote the caller's."""
    places: list[str] = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    log.error(
        "request %s failed with %s\n  %s", request_id, type(error).__name__, "\n  ".join(places)
    )
