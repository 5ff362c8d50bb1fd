"""One network with its table of live sentences; what the scheduler's worker thread drives.

All of it runs in that one thread. Where the network runs, and how, is decided here and below.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import InferenceError, ServiceError
from model.hypothesis import Hypothesis
from model.search import BeamSearch, Failed, Finished, SearchRequest
from model.step_model import StepModel


@dataclass(eq=False, slots=True)
class Job:
    """One sentence on its way through the network, and the future that its caller waits on."""

    model: str
    request: SearchRequest
    future: asyncio.Future[list[Hypothesis]]
    abandoned: bool = field(default=False)
    """Set by the caller's side when nobody waits any more; the worker then drops the sentence."""
    submitted: float = field(default_factory=time.monotonic)
    """When it joined the queue, as `time.monotonic` tells it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A sentence that has left the table: its hypotheses, or why there are none."""

    job: Job
    result: list[Hypothesis] | ServiceError


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

    def admit(self, jobs: Sequence[Job]) -> None:
        """Let these sentences join; whatever the network raises for one of them is raised."""
        slots = self._search.admit([job.request for job in jobs])
        self._jobs.update(zip(slots, jobs, strict=True))

    def drop_abandoned(self) -> None:
        """Free the rows of sentences that nobody waits for."""
        for slot in [slot for slot, job in self._jobs.items() if job.abandoned]:
            self._search.cancel(slot)
            del self._jobs[slot]

    def step(self) -> list[Outcome]:
        """Move every sentence on by one token; gives those that are done."""
        outcomes = []
        for event in self._search.step():
            match event:
                case Finished(slot, hypotheses):
                    outcomes.append(Outcome(self._jobs.pop(slot), hypotheses))
                case Failed(slot):
                    outcomes.append(Outcome(self._jobs.pop(slot), InferenceError()))
        return outcomes

    def clear(self) -> list[Job]:
        """Start with an empty table; gives the sentences that were in the old one."""
        jobs = list(self._jobs.values())
        self._jobs.clear()
        self._search = BeamSearch(self._model)
        return jobs
