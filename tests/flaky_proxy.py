"""A TCP proxy that misbehaves when it is told to."""

import asyncio
import contextlib
import socket
import struct
from typing import Literal

Fault = Literal["silent", "reset", "refused"] | None


class FlakyProxy:
    """Between a client and a server: as `async with`, it listens at `port`.

    `silent` passes nothing on and keeps connections open; `reset` breaks new connections; `refused`
    closes them at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.fault: Fault = None
        self.port = 0

    async def __aenter__(self) -> "FlakyProxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.reset_all()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def reset_all(self) -> None:
        """Break every connection with a TCP reset."""
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.fault in ("reset", "refused"):
            _reset(writer) if self.fault == "reset" else writer.close()
            return
        try:
            backend_reader, backend = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, backend}
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, backend))
                pumps.create_task(self._pump(backend_reader, writer))
        finally:
            self._writers -= {writer, backend}
            for one in (writer, backend):
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                while self.fault == "silent":
                    await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
