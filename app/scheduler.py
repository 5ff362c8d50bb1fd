"""Brings the sentences of all callers into the engines: one worker thread, no polling.

The event loop's side counts requests in (`reserve`) and hands sentences over (`submit`). The
worker's side admits them, steps the engines and hands results back. The two share the list of
waiting jobs, under one lock, and the flag `abandoned` of a job.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from app.engine import Engine, Job, Outcome
from app.errors import (
    DeadlineError,
    InferenceError,
    ModelUnavailableError,
    NotReadyError,
    OverloadedError,
    ServiceError,
)
from app.metrics import Metrics
from app.settings import Settings
from model.hypothesis import Hypothesis
from model.search import SearchRequest

log = logging.getLogger(__name__)


class Scheduler:
    """Owns the worker thread; every method but the private ones belongs to the event loop."""

    def __init__(
        self, engines: Mapping[str, Engine], settings: Settings, metrics: Metrics | None = None
    ) -> None:
        self._engines = dict(engines)
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._live: set[Job] = set()
        self._requests = 0
        self._characters = 0
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._stopping = False
        self._beat: float | None = None
        """When the worker last began something that ends; None while it sleeps."""
        self._fresh: list[Job] = []
        self._worker = threading.Thread(target=self._work, name="decoding", daemon=True)

    def start(self) -> None:
        """Start the worker thread; once in the life of a scheduler."""
        self._worker.start()

    async def stop(self) -> None:
        """Stop after the current step; whoever still waits gets `NotReadyError`.

        A step that takes longer than `stall_seconds` is not waited for.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        await asyncio.to_thread(self._worker.join, self._settings.stall_seconds)
        self._answer_all(self._stopped())

    @property
    def is_working(self) -> bool:
        """False once the worker thread has ended, for whatever reason."""
        return self._worker.is_alive()

    @property
    def stalled_seconds(self) -> float:
        """How long the worker has been at one thing; 0 while there is nothing to do."""
        beat = self._beat
        return 0.0 if beat is None else time.monotonic() - beat

    def add_engine(self, model: str, engine: Engine) -> None:
        """Let sentences be submitted for one more model."""
        self._engines = {**self._engines, model: engine}

    def remove_engine(self, model: str) -> None:
        """Forget a model that no sentence waits for; its memory is free after the current step."""
        assert not any(job.model == model for job in self._live)
        self._engines = {name: one for name, one in self._engines.items() if name != model}

    def abandon(self) -> None:
        """Give the worker up: all who wait get `ModelUnavailableError`, at once.

        For a worker that is stuck or dead. A stuck one ends when it comes back, and nothing that
        it brings then reaches anybody. Nothing can be submitted any more.
        """
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        self._answer_all(self._unavailable())

    def _answer_all(self, error: ServiceError) -> None:
        for job in self._live:
            if not job.future.done():
                job.future.set_exception(error)

    @contextlib.contextmanager
    def reserve(self, characters: int) -> Iterator[None]:
        """Hold a place for one request of so many characters, before any work is done for it.

        Checking and taking are one step, since only the event loop's thread does either. A service
        with nothing to do takes a request of any size.

        Raises:
            OverloadedError: as many requests or characters as allowed are in.
        """
        full = (
            self._requests >= self._settings.max_pending_requests
            or self._characters + characters > self._settings.max_pending_characters
        )
        if full and self._requests > 0:
            raise OverloadedError(self._settings.retry_after_seconds)
        self._requests += 1
        self._characters += characters
        try:
            yield
        finally:
            self._requests -= 1
            self._characters -= characters

    async def submit(
        self, model: str, requests: Sequence[SearchRequest], deadline: float
    ) -> list[list[Hypothesis]]:
        """Translate sentences with one model; n-best lists in the order of the sentences.

        `deadline` is a time of `time.monotonic`.

        Raises:
            DeadlineError: not all were done in time; the others are dropped at the next step.
            InferenceError: the network failed on one of them.
            ModelUnavailableError: the worker got stuck or died.
            NotReadyError: the service is stopping.
        """
        loop = asyncio.get_running_loop()
        jobs = [Job(model, request, loop.create_future()) for request in requests]
        self._hand_over(jobs)
        self._live.update(jobs)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.gather(*(job.future for job in jobs))
        except TimeoutError:
            raise DeadlineError from None
        finally:
            for job in jobs:
                job.abandoned = True
                job.future.cancel()
            self._live.difference_update(jobs)

    def _hand_over(self, jobs: Sequence[Job]) -> None:
        with self._changed:
            if self._stopping or not self._worker.is_alive():
                raise self._stopped()
            self._waiting.extend(jobs)
            self._metrics.queue_sentences.set(len(self._waiting))
            self._changed.notify()

    # The worker's side.

    def _work(self) -> None:
        error: ServiceError = self._unavailable()
        try:
            while self._wait_for_work():
                self._admit(self._next_jobs())
                for model, engine in self._engines.items():
                    engine.drop_abandoned()
                    if engine:
                        self._step(model, engine)
                self._metrics.active_sentences.set(self._active)
            error = self._stopped()
        except Exception:
            log.exception("the decoding thread has ended")
        finally:
            self._beat = None
            self._refuse_all(error)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to end."""
        with self._changed:
            self._beat = None
            self._changed.wait_for(
                lambda: self._stopping or self._waiting or self._suspects or self._active
            )
            self._beat = time.monotonic()
            return not self._stopping

    @property
    def _active(self) -> int:
        return sum(map(len, self._engines.values()))

    def _next_jobs(self) -> list[Job]:
        """The jobs that join now. A suspect runs alone, so that no other fails with it."""
        if self._suspects:
            return [self._suspects.popleft()] if self._active == 0 else []
        jobs: list[Job] = []
        room = self._settings.max_active_sentences - self._active
        with self._changed:
            while self._waiting and len(jobs) < room:
                jobs.append(self._waiting.popleft())
            self._metrics.queue_sentences.set(len(self._waiting))
        now = time.monotonic()
        for job in jobs:
            self._metrics.queue_wait_seconds.observe(now - job.submitted)
        return jobs

    def _admit(self, jobs: Sequence[Job]) -> None:
        for name, engine in self._engines.items():
            own = [job for job in jobs if job.model == name and not job.abandoned]
            if own:
                self._admit_to(engine, own)

    def _admit_to(self, engine: Engine, jobs: Sequence[Job]) -> None:
        self._beat = time.monotonic()
        try:
            engine.admit(jobs)
            self._fresh.extend(jobs)
        except Exception:
            if len(jobs) > 1:
                for job in jobs:
                    self._admit_to(engine, [job])
            else:
                log.exception("a sentence could not be encoded")
                self._deliver(Outcome(jobs[0], InferenceError()))

    def _step(self, model: str, engine: Engine) -> None:
        self._beat = began = time.monotonic()
        rows = engine.rows
        try:
            outcomes = engine.step()
        except Exception:
            log.exception("a decoding step failed")
            self._isolate(engine.clear())
        else:
            self._measure_step(model, rows, began)
            for outcome in outcomes:
                self._deliver(outcome)

    def _measure_step(self, model: str, rows: int, began: float) -> None:
        now = time.monotonic()
        self._metrics.step_seconds.labels(model).observe(now - began)
        self._metrics.batch_rows.labels(model).observe(rows)
        for job in self._fresh:
            if job.model == model and not job.abandoned:
                self._metrics.first_token_seconds.observe(now - job.submitted)
        self._fresh = [job for job in self._fresh if job.model != model]

    def _isolate(self, jobs: Sequence[Job]) -> None:
        """After a failed step: a single sentence is the cause; of several each gets a new try."""
        self._fresh.clear()
        if len(jobs) == 1:
            self._deliver(Outcome(jobs[0], InferenceError()))
        else:
            self._suspects.extend(jobs)

    def _refuse_all(self, error: ServiceError) -> None:
        with self._changed:
            self._stopping = True
            jobs = [*self._waiting, *self._suspects]
            self._waiting.clear()
        for engine in self._engines.values():
            jobs.extend(engine.clear())
        for job in jobs:
            self._deliver(Outcome(job, error))

    def _stopped(self) -> NotReadyError:
        return NotReadyError("The service is stopping.", self._settings.retry_after_seconds)

    def _unavailable(self) -> ModelUnavailableError:
        return ModelUnavailableError(self._settings.retry_after_seconds)

    def _deliver(self, outcome: Outcome) -> None:
        # The loop is closed already where a program ends without `stop`: nobody waits there.
        with contextlib.suppress(RuntimeError):
            loop = outcome.job.future.get_loop()
            loop.call_soon_threadsafe(_resolve, outcome)


def _resolve(outcome: Outcome) -> None:
    future = outcome.job.future
    if future.done():
        return
    if isinstance(outcome.result, ServiceError):
        future.set_exception(outcome.result)
    else:
        future.set_result(outcome.result)
