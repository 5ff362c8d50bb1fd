"""One network with its table of live sentences; what the scheduler's worker thread drives.

All of it runs in that one thread. Where the network runs, and how, is decided here and below.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import DeadlineError, InferenceError, ServiceError
from app.lanes import Place
from model.hypothesis import Hypothesis
from model.search import BeamSearch
from model.search_events import Failed, Finished, Progress, SearchRequest
from model.step_model import StepModel

log = logging.getLogger(__name__)

NOWHERE = Place("interactive", "", 0)
"""Of a sentence that never waited."""

MAX_PROBES = 40
"""Tries to find out which sentences made a step fail; enough for two among a thousand."""


@dataclass(frozen=True, slots=True)
class SentenceStep:
    """How far a sentence is after one step."""

    best: Hypothesis
    """The most probable hypothesis; unless `is_last`, one that is not at its end."""
    stable: int
    """Leading tokens that will not change any more."""
    is_last: bool


StepObserver = Callable[[SentenceStep], None]


@dataclass(eq=False, slots=True)
class Job:
    """One sentence on its way through the network, and the future that its caller waits on."""

    model: str
    request: SearchRequest
    future: asyncio.Future[list[Hypothesis]]
    deadline: float = float("inf")
    """As `time.monotonic` tells it; the worker drops the sentence then."""
    place: Place = NOWHERE
    work: float = 0.0
    """What it counts in the backlog."""
    on_step: StepObserver | None = None
    """Called on the event loop after each step of a streamed sentence."""
    abandoned: bool = field(default=False)
    """Set by the caller's side when nobody waits any more; the worker then drops the sentence."""
    submitted: float = field(default_factory=time.monotonic)
    """When it joined the queue."""
    joined: float | None = None
    """When it left the queue; set by the worker."""

    @property
    def rows(self) -> int:
        """Hypotheses that it may have side by side."""
        return 1 if self.request.target is not None else self.request.options.beam_size


def row_steps(request: SearchRequest) -> int:
    """How much work a sentence probably is: its hypotheses × its steps."""
    if request.target is not None:
        return len(request.target)
    # A translation is about as long as its source.
    return request.options.beam_size * len(request.source)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has come of a sentence: its hypotheses, why there are none, or how far it is."""

    job: Job
    result: list[Hypothesis] | SentenceStep | ServiceError


class Engine:
    """Translates sentences that join and leave between steps. Not thread-safe."""

    def __init__(self, model: StepModel[Any]) -> None:
        self._model = model
        self._search = BeamSearch(model)
        self._jobs: dict[int, Job] = {}

    def __len__(self) -> int:
        """Sentences that are being translated."""
        return len(self._jobs)

    @property
    def rows(self) -> int:
        """Hypotheses that the next step moves on."""
        return self._search.rows

    @property
    def reserved_rows(self) -> int:
        """Hypotheses that its sentences may come to have."""
        return sum(job.rows for job in self._jobs.values())

    def admit(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Let these sentences join, encoded together; gives those that cannot be encoded."""
        try:
            slots = self._search.admit([job.request for job in jobs])
        except Exception:
            if len(jobs) > 1:
                middle = len(jobs) // 2
                return self.admit(jobs[:middle]) + self.admit(jobs[middle:])
            log.exception("a sentence could not be encoded")
            return [Outcome(jobs[0], InferenceError())]
        self._jobs.update(zip(slots, jobs, strict=True))
        return []

    def drop(self, now: float) -> list[Outcome]:
        """Free the rows of sentences that nobody waits for; gives those whose time is up."""
        outcomes = []
        for slot, job in list(self._jobs.items()):
            if job.abandoned or job.deadline <= now:
                self._search.cancel(slot)
                del self._jobs[slot]
                if not job.abandoned:
                    outcomes.append(Outcome(job, DeadlineError()))
        return outcomes

    def step(self) -> list[Outcome]:
        """Move every sentence on by one token; gives what has come of it.

        Where the network fails, the sentences that make it fail leave, and the others stay where
        they are.
        """
        try:
            events = self._search.step()
        except Exception:
            log.exception("a decoding step failed")
            return self._fail_causes()
        outcomes = []
        for event in events:
            match event:
                case Progress(slot, best, stable):
                    step = SentenceStep(best, stable, is_last=False)
                    outcomes.append(Outcome(self._jobs[slot], step))
                case Finished(slot, hypotheses):
                    outcomes.append(Outcome(self._jobs.pop(slot), hypotheses))
                case Failed(slot, reason):
                    log.error("a sentence failed: %s", reason)
                    outcomes.append(Outcome(self._jobs.pop(slot), InferenceError()))
        return outcomes

    def _fail_causes(self) -> list[Outcome]:
        live = self._search.slots
        causes = find_causes(live, self._fails)
        if not causes:
            # The network has no complaint about any sentence, so the table itself is in doubt.
            return [Outcome(job, InferenceError()) for job in self.clear()]
        for slot in causes:
            self._search.cancel(slot)
        # A sentence that left the table in the failed step was not told so.
        gone = [slot for slot in self._jobs if slot in causes or slot not in live]
        return [Outcome(self._jobs.pop(slot), InferenceError()) for slot in gone]

    def _fails(self, slots: Sequence[int]) -> bool:
        try:
            self._search.probe(slots)
        except Exception as error:  # noqa: BLE001 - whatever it is, these sentences cause it
            log.debug("a probe failed: %s", type(error).__name__)
            return True
        return False

    def clear(self) -> list[Job]:
        """Start with an empty table; gives the sentences that were in the old one."""
        jobs = list(self._jobs.values())
        self._jobs.clear()
        self._search = BeamSearch(self._model)
        return jobs


def find_causes(slots: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """Which of `slots`, which fail together, make them fail: halves are tried, and halves of those.

    None where each half is fine by itself. After `MAX_PROBES` tries those still in doubt count.
    """
    causes: list[int] = []
    doubtful = [list(slots)]
    probes = 0
    while doubtful:
        group = doubtful.pop()
        if len(group) <= 1 or probes >= MAX_PROBES:
            causes += group
            continue
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            probes += 1
            if fails(half):
                doubtful.append(half)
    return causes
