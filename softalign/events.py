"""A translation as it is made: server-sent events (HTML standard, 9.2), and what they say."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from softalign.alignment import Token
from softalign.errors import InterruptedStreamError, problem_error
from softalign.results import Translation


@dataclass(frozen=True, slots=True)
class SegmentEvent:
    """A sentence is going to be translated."""

    translation: int
    """Which of the texts it belongs to."""
    segment: int
    """Which of the sentences of that text it is."""
    source_start: int
    source_end: int
    source_pieces: tuple[Token, ...]
    """The columns of the weights of its tokens."""


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One piece of a sentence's translation; replaces what was said for its `index`."""

    translation: int
    segment: int
    index: int
    id: int
    piece: str
    text: str
    """What it appends; joined, the texts of a sentence are its translation."""
    start: int
    end: int
    log_prob: float
    weights: tuple[float, ...] | None
    """A weight for each source piece; None where no alignment was asked for."""
    eos: float | None
    stable: bool
    """True: it will not be replaced any more."""


@dataclass(frozen=True, slots=True)
class SegmentEndEvent:
    """The translation of a sentence is complete; what was said for an `index` from `pieces` on is
    void."""

    translation: int
    segment: int
    text: str
    pieces: int
    score: float
    log_prob: float
    finish_reason: str


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """Everything is translated: the same as without streaming."""

    translations: tuple[Translation, ...]

    @property
    def translation(self) -> Translation:
        """The translation of the one text; of the first, where there are several."""
        return self.translations[0]


Event = SegmentEvent | TokenEvent | SegmentEndEvent | DoneEvent


@dataclass(slots=True)
class EventReader:
    """Reads the bytes of a stream, however they are cut into chunks.

    Lines end with a line feed, a carriage return or both, and with nothing else: JSON may hold
    U+2028 and others that Python takes for line ends.
    """

    _rest: bytes = b""
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events that are complete with `chunk`: their names and their data."""
        # A carriage return at the very end may be the first half of a line end.
        text = self._rest + chunk
        held = b"\r" if text.endswith(b"\r") else b""
        lines = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *complete, rest = lines.split(b"\n")
        self._rest = rest + held
        for line in complete:
            event = self._take(line.decode())
            if event is not None:
                yield event

    def _take(self, line: str) -> tuple[str, dict[str, Any]] | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._name = value
            elif name == "data":
                self._data.append(value)
            return None
        name, data = self._name, self._data
        self._name, self._data = "", []
        return (name, json.loads("\n".join(data))) if data else None


class StreamReader:
    """Reads a whole stream; `done` says what its last event tells."""

    def __init__(self, done: Callable[[dict[str, Any]], DoneEvent]) -> None:
        self._events = EventReader()
        self._done = done
        self.is_complete = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Events that are complete with `chunk`; raises ProblemError where the service fails."""
        for name, data in self._events.feed(chunk):
            if name == "error":
                raise problem_error(data)
            if name == "done":
                self.is_complete = True
                yield self._done(data)
            event = _read_event(name, data)
            if event is not None:
                yield event

    def end(self) -> None:
        """Nothing more comes; raises InterruptedStreamError where more was to come."""
        if not self.is_complete:
            raise InterruptedStreamError("the stream ended without saying that it is done")


def _read_event(name: str, data: dict[str, Any]) -> Event | None:
    """The event that is told, unless it is the last one or one that a later version brought."""
    if name == "segment":
        pieces = tuple(
            Token(one["piece"], one["start"], one["end"]) for one in data["source_pieces"]
        )
        span = data["source"]
        return SegmentEvent(
            data["translation"], data["segment"], span["start"], span["end"], pieces
        )
    if name == "token":
        weights = data["weights"]
        row = None if weights is None else tuple(weights)
        return TokenEvent(**{**_fields(TokenEvent, data), "weights": row})
    if name == "segment_end":
        return SegmentEndEvent(**_fields(SegmentEndEvent, data))
    return None


def _fields(kind: type[TokenEvent | SegmentEndEvent], data: dict[str, Any]) -> dict[str, Any]:
    return {one.name: data[one.name] for one in fields(kind)}
