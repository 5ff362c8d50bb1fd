"""Receives a request within limits: its header fields, its body, and the time for both.

The time for the head of a request is held where the connection is (`app/connections.py`), since no
application is asked before the head is complete.
"""

import asyncio
import re

from starlette.types import Message, Receive, Scope

from app.errors import UnreadableRequestError
from app.reply import header_values
from app.settings import Settings

HTTP_VERSIONS = ("1.0", "1.1")

HOST = re.compile(rb"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class CallerLeftError(Exception):
    """The connection closed while the body was still being read."""


def check_head(scope: Scope, settings: Settings) -> None:
    """Refuse a request for its address, host or header fields; raises UnreadableRequestError."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if scope.get("http_version", "1.1") not in HTTP_VERSIONS:
        raise UnreadableRequestError("bad_request", "This is not HTTP/1.1.")
    if {name for name, _ in headers} >= {b"content-length", b"transfer-encoding"}:
        raise UnreadableRequestError(
            "bad_request", "Content-Length and Transfer-Encoding contradict each other."
        )
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > settings.max_header_fields or size > settings.max_header_bytes:
        raise header_too_large(settings)
    target = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
    if target > settings.max_target_bytes:
        raise UnreadableRequestError(
            "target_too_long",
            f"An address with its query may have {settings.max_target_bytes} bytes.",
        )
    _check_host(headers, settings)
    for encoding in header_values(headers, b"content-encoding"):
        if encoding.strip().lower() not in (b"", b"identity"):
            raise UnreadableRequestError(
                "unsupported_encoding", "Send the body as it is, without Content-Encoding."
            )


def header_too_large(settings: Settings) -> UnreadableRequestError:
    """The error for too many or too large header fields."""
    return UnreadableRequestError(
        "header_too_large",
        f"A request may have {settings.max_header_fields} header fields and "
        f"{settings.max_header_bytes} bytes in them.",
    )


def _check_host(headers: list[tuple[bytes, bytes]], settings: Settings) -> None:
    """A host decides nothing here, but a false one is a sign of a forged or rebound request."""
    allowed = settings.host_names
    for value in header_values(headers, b"host"):
        host = HOST.fullmatch(value)
        if host is None:
            raise UnreadableRequestError("invalid_host", "The Host of the request is not a name.")
        if allowed is not None and host["name"].lower() not in allowed:
            raise UnreadableRequestError(
                "invalid_host", "The service does not answer to the Host of the request."
            )


async def read_body(scope: Scope, receive: Receive, settings: Settings) -> bytes:
    """The whole body.

    Raises:
        UnreadableRequestError: it is too large, or did not arrive in time.
        CallerLeftError: the connection closed.
    """
    announced = next(iter(header_values(scope["headers"], b"content-length")), b"0")
    limit = settings.max_body_bytes
    if not announced.isdigit() or len(announced) > 18 or int(announced) > limit:
        raise _body_too_large(limit)
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _read_up_to(limit, receive)
    except TimeoutError:
        raise UnreadableRequestError(
            "request_timeout", f"A body has {settings.body_seconds:g} seconds to arrive."
        ) from None


async def _read_up_to(limit: int, receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeftError
        body += message.get("body", b"")
        if len(body) > limit:
            raise _body_too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _body_too_large(limit: int) -> UnreadableRequestError:
    return UnreadableRequestError("body_too_large", f"A body may have {limit} bytes.")


def replay(body: bytes, caller_left: asyncio.Event) -> Receive:
    """A `receive` that hands out the body once and then waits for the caller to leave."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await caller_left.wait()
        return {"type": "http.disconnect"}

    return receive


async def wait_for_disconnect(receive: Receive, caller_left: asyncio.Event) -> None:
    """Set `caller_left` when the connection closes."""
    while (await receive())["type"] != "http.disconnect":
        pass
    caller_left.set()
