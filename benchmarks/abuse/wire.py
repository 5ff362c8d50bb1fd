"""HTTP by hand: what no well-behaved client would send, and how the service answers it."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60.0
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, as far as it came."""

    status: int
    """0 where the connection was closed without an answer."""
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    """From the first byte sent to the last one received."""

    @property
    def code(self) -> str:
        """Of a problem."""
        with contextlib.suppress(ValueError):
            return str(json.loads(self.body).get("code", ""))
        return ""

    @property
    def is_problem(self) -> bool:
        """Whether it is an error in the one shape that errors have."""
        return self.headers.get("content-type") == "application/problem+json" and bool(self.code)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> bool:
        """Send; False where the other side has closed."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            return False
        return True

    async def reply(self, began: float | None = None) -> Reply:
        """The next answer."""
        began = time.monotonic() if began is None else began
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await self.reader.readuntil(b"\r\n\r\n")
                first, *fields = head.decode("latin-1").split("\r\n")[:-2]
                headers = {
                    name.lower(): value for name, value in (one.split(": ", 1) for one in fields)
                }
                body = await self._body(headers)
        except (OSError, asyncio.IncompleteReadError):
            return Reply(0, {}, b"", time.monotonic() - began)
        return Reply(int(first.split()[1]), headers, body, time.monotonic() - began)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        if "chunked" not in headers.get("transfer-encoding", ""):
            return b""
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body

    async def closed(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether the other side closes within so many seconds."""
        with contextlib.suppress(OSError):
            try:
                async with asyncio.timeout(seconds):
                    while await self.reader.read(65_536):
                        pass
            except TimeoutError:
                return False
        return True

    def close(self) -> None:
        """Close at once: what was not sent is lost."""
        self.writer.transport.abort()


async def connect(port: int, source: str | None = None) -> Wire:
    """A connection, from another address of this machine if one is given."""
    local = None if source is None else (source, 0)
    return Wire(*await asyncio.open_connection(HOST, port, local_addr=local))


def head(
    method: bytes = b"POST",
    target: bytes = b"/v1/translate",
    fields: Iterable[tuple[bytes, bytes]] = (),
    host: bytes = b"127.0.0.1",
) -> bytes:
    """The head of a request, with nothing added or escaped."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: " + host]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in fields), b"", b""])


async def send_raw(port: int, data: bytes) -> Reply:
    """Send bytes on a new connection; gives the first answer."""
    wire = await connect(port)
    began = time.monotonic()
    await wire.send(data)
    reply = await wire.reply(began)
    wire.close()
    return reply


async def post(
    port: int,
    body: bytes,
    *,
    target: bytes = b"/v1/translate",
    media_type: str | None = JSON,
    fields: Iterable[tuple[bytes, bytes]] = (),
    method: bytes = b"POST",
) -> Reply:
    """A request with a body, on a new connection."""
    own = [(b"Content-Length", str(len(body)).encode())]
    if media_type is not None:
        own.append((b"Content-Type", media_type.encode()))
    return await send_raw(port, head(method, target, [*own, *fields]) + body)


async def get(port: int, target: bytes, *fields: tuple[bytes, bytes]) -> Reply:
    """A request without a body, on a new connection."""
    return await send_raw(port, head(b"GET", target, fields))
