"""Server-sent events (the HTML standard, section 9.2) as the response to a POST."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

MEDIA_TYPE = "text/event-stream"

HEARTBEAT_SECONDS = 15.0
"""Proxies close a connection on which nothing is heard for a minute or so."""

HEARTBEAT = b": still here\n\n"


def wants_events(accept: str | None) -> bool:
    """Whether a caller prefers a stream to JSON; who takes anything gets JSON."""
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.best_match(["application/json", MEDIA_TYPE]) == MEDIA_TYPE


def frame(name: str, data: str) -> bytes:
    """One event. `data` is JSON, which has no line breaks of its own."""
    return f"event: {name}\ndata: {data}\n\n".encode()


class EventStream(Response):
    """Sends frames as they come, and a comment where none came for a while.

    A frame is asked for only once the one before has been taken off our hands, so that a reader who
    does not read stops the work. However sending ends, the frames are closed.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, frames: AsyncGenerator[bytes], heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._heartbeat_seconds = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the whole response."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        awaited = asyncio.ensure_future(anext(self._frames, None))
        try:
            while (body := await self._next(awaited)) is not None:
                if body is not HEARTBEAT:
                    awaited = asyncio.ensure_future(anext(self._frames, None))
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            awaited.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await awaited
            await self._frames.aclose()

    async def _next(self, awaited: asyncio.Future[bytes | None]) -> bytes | None:
        await asyncio.wait({awaited}, timeout=self._heartbeat_seconds)
        return awaited.result() if awaited.done() else HEARTBEAT
