"""Who may come in: a request gets its place in one step before any work, or an answer at once.

Checking and taking are one, since both happen on the event loop with nothing in between. Until a
text is read its size is guessed from its characters; once it is, the place has its true size.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.errors import OverloadedError, RateLimitedError, ServiceError
from app.lanes import LANE_WEIGHTS, Lane
from app.pace import Pace
from app.settings import Settings

CHARACTERS_PER_SENTENCE = 100
CHARACTERS_PER_TOKEN = 4
"""Guesses for a text that was not read yet; the truth replaces them within milliseconds."""

MOST_INTERACTIVE = 16
"""Sentences, guessed, of a request that counts as interactive unless it says what it is."""

ROUNDING = 1e-9
"""What sums of floating-point numbers may leave behind."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much a request, or all of them, ask of the network."""

    sentences: int = 0
    tokens: int = 0
    """Source pieces, the ends of sentences included."""

    def __add__(self, other: "Load") -> "Load":
        return Load(self.sentences + other.sentences, self.tokens + other.tokens)

    def __sub__(self, other: "Load") -> "Load":
        return Load(self.sentences - other.sentences, self.tokens - other.tokens)

    def exceeds(self, most: "Load", share: float = 1.0) -> bool:
        """Whether it is more than this share of `most`, in either."""
        return self.sentences > share * most.sentences or self.tokens > share * most.tokens


def guess_load(texts: Sequence[str]) -> Load:
    """What texts probably come to, without reading them."""
    sentences = sum(1 + len(text) // CHARACTERS_PER_SENTENCE for text in texts)
    return Load(sentences, sentences + sum(len(text) // CHARACTERS_PER_TOKEN for text in texts))


def guess_lane(load: Load) -> Lane:
    """Where a request of this size belongs that does not say it."""
    return "interactive" if load.sentences <= MOST_INTERACTIVE else "bulk"


class Backlog:
    """Work that was let in and is not begun, by lane and caller, in seconds of `Pace.work`.

    Any thread may call.
    """

    def __init__(self) -> None:
        self._work: dict[tuple[Lane, str], float] = {}
        self._lock = threading.Lock()

    def add(self, lane: Lane, caller: str, work: float) -> None:
        """So much more waits."""
        with self._lock:
            self._work[lane, caller] = self._work.get((lane, caller), 0.0) + work

    def remove(self, lane: Lane, caller: str, work: float) -> None:
        """So much has begun, or was given up."""
        with self._lock:
            left = self._work.pop((lane, caller), 0.0) - work
            if left > ROUNDING:
                self._work[lane, caller] = left

    def ahead(self, lane: Lane, caller: str, turn: float) -> float:
        """Work that is done before a new request of this caller has its first turn, at most.

        That is all that waits or, where it is less, what the caller has waiting already, the
        turn itself, and as much of each other caller of the lane, by the shares of the lanes.
        """
        with self._lock:
            own = self._work.get((lane, caller), 0.0)
            callers = {one for at, one in self._work if at == lane}
            lanes = {lane, *(at for at, _ in self._work)}
            share = LANE_WEIGHTS[lane] / sum(LANE_WEIGHTS[one] for one in lanes)
            return min(sum(self._work.values()), (own + turn) * len(callers) / share)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request asks for at the door."""

    caller: str
    lane: Lane
    load: Load
    work: float
    """Of all its sentences, in seconds of `Pace.work`."""
    seconds: float
    """How long the caller waits for the answer."""


class Reservation:
    """The place of one request: held until it is answered, in the backlog until it is read."""

    def __init__(self, claim: Claim, admission: "Admission") -> None:
        self.caller = claim.caller
        self.lane = claim.lane
        self.deadline = time.monotonic() + claim.seconds
        """When the caller has to be answered, as `time.monotonic` tells it."""
        self._admission = admission
        self._load = claim.load
        self._guessed_work = claim.work

    def read(self, load: Load) -> None:
        """The texts were read: their true size, and from now on their own work in the backlog."""
        self._admission.hold(self.caller, load - self._load)
        self._load = load
        self._leave_backlog()

    def release(self) -> None:
        """The request is answered."""
        self._admission.hold(self.caller, Load() - self._load)
        self._leave_backlog()

    def _leave_backlog(self) -> None:
        work, self._guessed_work = self._guessed_work, 0.0
        if work:
            self._admission.backlog.remove(self.lane, self.caller, work)


class Admission:
    """Counts requests in and out; every method belongs to the event loop."""

    def __init__(self, settings: Settings, pace: Pace, backlog: Backlog) -> None:
        self.backlog = backlog
        self._settings = settings
        self._pace = pace
        self._held = Load()
        self._held_by: dict[str, Load] = {}

    @property
    def held(self) -> Load:
        """What all requests that are in hold together."""
        return self._held

    @contextlib.contextmanager
    def reserve(self, claim: Claim) -> Iterator[Reservation]:
        """Hold the place of one request, before any work is done for it.

        Raises:
            OverloadedError: there is no room, or it would wait longer than it may.
            RateLimitedError: there is room, but this caller has its share of it.
        """
        refusal = self.refusal(claim)
        if refusal is not None:
            raise refusal
        self.hold(claim.caller, claim.load)
        self.backlog.add(claim.lane, claim.caller, claim.work)
        reservation = Reservation(claim, self)
        try:
            yield reservation
        finally:
            reservation.release()

    def hold(self, caller: str, load: Load) -> None:
        """Let a caller hold so much more, or less."""
        self._held += load
        of_caller = self._held_by.pop(caller, Load()) + load
        if of_caller != Load():
            self._held_by[caller] = of_caller

    def refusal(self, claim: Claim) -> ServiceError | None:
        """Why this request is not let in at this moment, if so."""
        turn = claim.work / max(1, claim.load.sentences)
        wait = self._pace.seconds(self.backlog.ahead(claim.lane, claim.caller, turn))
        held_by_caller = self._held_by.get(claim.caller, Load())
        return refuse(claim, self._held, held_by_caller, wait, self._settings)


def refuse(
    claim: Claim, held: Load, held_by_caller: Load, wait: float, settings: Settings
) -> ServiceError | None:
    """Why a request is not let in, if so. A service with nothing to do takes one of any size.

    `wait` is the estimated time to its first turn, in seconds.
    """
    if held == Load():
        return None
    most = Load(settings.max_pending_sentences, settings.max_pending_tokens)
    share = settings.max_caller_share
    if held_by_caller != Load() and (held_by_caller + claim.load).exceeds(most, share):
        return RateLimitedError(
            "Your requests that are being translated have their share of this service. "
            "Wait for their answers, or send fewer at a time.",
            1 + int(wait),
        )
    if (held + claim.load).exceeds(most) or wait > min(settings.max_wait_seconds, claim.seconds):
        return OverloadedError(settings.retry_after_seconds, wait)
    return None
