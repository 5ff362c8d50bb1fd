"""Callers who take their time: with a request, or with nothing at all."""

import asyncio

from benchmarks.abuse.wire import Wire, connect

AT_ONCE = 20
"""Connections that are opened side by side every tenth of a second: a storm of new connections is
another matter, and the client of the polite callers has to live beside it."""


async def silent(port: int, count: int, beginning: bytes, source: str) -> list[int]:
    """Open connections and send no more than `beginning`; the statuses when they are closed."""
    return await _attack(port, count, beginning, source, drip=b"")


async def dripping(port: int, count: int, beginning: bytes, source: str) -> list[int]:
    """The same, with a byte a second."""
    return await _attack(port, count, beginning, source, drip=b"a")


async def _attack(port: int, count: int, beginning: bytes, source: str, drip: bytes) -> list[int]:
    held: list[asyncio.Task[int]] = []
    while len(held) < count:
        most = min(AT_ONCE, count - len(held))
        wires = await asyncio.gather(*(connect(port, source) for _ in range(most)))
        held += [asyncio.create_task(_hold(wire, beginning, drip)) for wire in wires]
        await asyncio.sleep(0.1)
    return await asyncio.gather(*held)


async def _hold(wire: Wire, beginning: bytes, drip: bytes) -> int:
    async def feed() -> None:
        await wire.send(beginning)
        while drip and await wire.send(drip):
            await asyncio.sleep(1.0)

    feeding = asyncio.create_task(feed())
    reply = await wire.reply()
    await wire.closed()
    feeding.cancel()
    wire.close()
    return reply.status
