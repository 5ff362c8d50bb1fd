"""Requests at given moments over kept connections: a load that does not wait for the answers.

A closed loop asks again only once it was answered, so it slows down with the server and hides what
waiting costs. Here the moments are drawn beforehand, and latency counts from them.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import quantiles

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request went."""

    status: int
    """0 where the connection broke."""
    seconds: float
    """From the moment at which the request was due."""
    at: float
    """When the answer was there, in seconds from the beginning of the load."""
    number: int
    """Of the request, counted from 0 in the order in which they were made."""


class Client:
    """Connections to one server; as many as are needed at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.broken: Counter[str] = Counter()
        """Why requests got no answer, and how often."""

    async def post(self, path: str, body: bytes) -> int:
        """Send one request; gives the status once the whole answer is there."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        for attempt in range(2):
            kept = self._kept() if attempt == 0 else None
            try:
                reader, writer = kept or await asyncio.open_connection(HOST, self._port)
            except OSError as error:
                return self._lost("not connected", error)
            try:
                writer.write(head.encode() + body)
                status, is_kept = await self._read(reader)
            except (OSError, asyncio.IncompleteReadError) as error:
                writer.close()
                if kept is None:
                    return self._lost("on a new connection", error)
                continue  # the server closed the kept connection meanwhile: take a new one
            if is_kept:
                self._idle.append((reader, writer))
            else:
                writer.close()
            return status
        raise AssertionError("the second attempt returns")

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """An idle connection that the server has not closed, the newest first."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    def _lost(self, when: str, error: Exception) -> int:
        self.broken[f"{when}: {error!r}"[:120]] += 1
        return 0

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, bool]:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        return int(head.split(b" ", 2)[1]), b"connection: close" not in head

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def open_loop(
    client: Client, path: str, bodies: Iterator[bytes], rate: float, seconds: float, seed: int = 1
) -> list[Answer]:
    """Requests at moments of a Poisson process of `rate` a second, whatever becomes of them."""
    draw = random.Random(seed)
    began = time.monotonic()
    answers: list[Answer] = []

    async def ask(due: float, number: int) -> None:
        status = await client.post(path, next(bodies))
        now = time.monotonic()
        answers.append(Answer(status, now - due, now - began, number))

    due, tasks = began, []
    while (due := due + draw.expovariate(rate)) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(ask(due, len(tasks))))
    await asyncio.gather(*tasks)
    return answers


async def closed_loop(
    client: Client, path: str, bodies: Iterator[bytes], callers: int, seconds: float
) -> list[Answer]:
    """So many callers who ask again as soon as they are answered: what the server can do."""
    began = time.monotonic()
    answers: list[Answer] = []
    numbers = count()

    async def ask_again() -> None:
        while time.monotonic() < began + seconds:
            due, number = time.monotonic(), next(numbers)
            status = await client.post(path, next(bodies))
            now = time.monotonic()
            answers.append(Answer(status, now - due, now - began, number))

    await asyncio.gather(*(ask_again() for _ in range(callers)))
    return answers


def percentile(answers: Iterable[Answer], percent: int) -> float:
    """Of the latencies, in milliseconds; NaN where there are too few."""
    values = [1000 * answer.seconds for answer in answers]
    return quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")


def good(answers: Sequence[Answer]) -> list[Answer]:
    """Those that were translated."""
    return [answer for answer in answers if answer.status == 200]


def rate_of(answers: Sequence[Answer], seconds: float, warm: float = 0.0) -> float:
    """Translated a second between `warm` and `seconds`."""
    return sum(warm <= answer.at < seconds for answer in good(answers)) / (seconds - warm)
