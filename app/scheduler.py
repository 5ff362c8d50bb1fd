"""Brings the sentences of all callers into the engines: one worker thread, no polling.

The event loop's side hands sentences over (`submit`) and gives them up. The worker's side lets them
join between two steps (`app/joining.py`), steps the engines and hands back what comes of each. The
two share the queue of those that wait, under one lock, and the flag `abandoned` of a job.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

from app.admission import Backlog
from app.engine import Engine, Job, Outcome, SentenceStep, StepObserver, row_steps
from app.errors import DeadlineError, ModelUnavailableError, NotReadyError, ServiceError
from app.joining import JOINING_SHARE, Gathering, is_gone, take
from app.lanes import FairQueue, Lane, Place
from app.metrics import Metrics
from app.pace import Pace
from app.settings import Settings
from app.tracing import record_span
from model.hypothesis import Hypothesis
from model.search_events import SearchRequest

log = logging.getLogger(__name__)

LAST_STEP_SECONDS = 0.5
"""Longest time that stopping waits for the step at hand."""

SentenceObserver = Callable[[int, SentenceStep], None]
"""Takes the place of a sentence among those submitted together, and how far it is."""


class Scheduler:
    """Owns the worker thread; every method but the private ones belongs to the event loop."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        settings: Settings,
        metrics: Metrics | None = None,
        pace: Pace | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        self._engines = dict(engines)
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._pace = pace or Pace()
        self._backlog = backlog or Backlog()
        self._live: set[Job] = set()
        self._numbers = count()
        self._changed = threading.Condition()
        self._waiting: FairQueue[Job] = FairQueue()
        self._stopping = False
        self._broken = False
        """Whether it ends because the worker is stuck or dead, and not because it was stopped."""
        self._beat: float | None = None
        """When the worker last began something that ends; None while it sleeps."""
        self._fresh: list[Job] = []
        """Those who have joined since the last step."""
        self._gathering = Gathering()
        self._encoding_seconds = 0.0
        """What has gone into encoding since the last step."""
        self._worker = threading.Thread(target=self._work, name="decoding", daemon=True)

    def start(self) -> None:
        """Start the worker thread; once in the life of a scheduler."""
        self._worker.start()

    async def stop(self) -> None:
        """Stop after the current step; whoever still waits gets `NotReadyError`.

        A step that takes longer than `LAST_STEP_SECONDS` is not waited for.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        await asyncio.to_thread(self._worker.join, LAST_STEP_SECONDS)
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
            self._stopping = self._broken = True
            self._begun(self._waiting.clear())
            self._changed.notify()
        self._answer_all(self._unavailable())

    def _answer_all(self, error: ServiceError) -> None:
        for job in self._live:
            if not job.future.done():
                job.future.set_exception(error)

    async def submit(
        self,
        model: str,
        requests: Sequence[SearchRequest],
        deadline: float,
        *,
        caller: str = "",
        lane: Lane = "interactive",
        on_step: SentenceObserver | None = None,
    ) -> list[list[Hypothesis]]:
        """Translate sentences with one model; n-best lists in the order of the sentences.

        `deadline` is a time of `time.monotonic`. `on_step` is called on the event loop after each
        step of a sentence with `stream`, for the last time before this returns.

        Raises:
            DeadlineError: not all were done in time; the others are dropped at the next step.
            InferenceError: the network failed on one of them.
            ModelUnavailableError: the worker got stuck or died.
            NotReadyError: the service is stopping.
        """
        place = Place(lane, caller, next(self._numbers))
        loop = asyncio.get_running_loop()
        jobs = [
            Job(
                model,
                request,
                loop.create_future(),
                deadline,
                place,
                self._pace.work(model, row_steps(request)),
                _observer(on_step, index),
            )
            for index, request in enumerate(requests)
        ]
        self._hand_over(jobs)
        self._live.update(jobs)
        try:
            # The worker keeps deadlines too; this is for one that is stuck in a step.
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.gather(*(job.future for job in jobs))
        except TimeoutError:
            raise DeadlineError from None
        finally:
            self._give_up(place, jobs)
            _trace(jobs)

    def _hand_over(self, jobs: Sequence[Job]) -> None:
        with self._changed:
            if self._stopping or not self._worker.is_alive():
                raise self._refusal()
            if not len(self._waiting):
                self._gathering.begin(time.monotonic())
            for job in jobs:
                self._waiting.push(job.place, job, job.work)
                self._backlog.add(job.place.lane, job.place.caller, job.work)
            self._metrics.queue_sentences.set(len(self._waiting))
            self._changed.notify()

    def _give_up(self, place: Place, jobs: Sequence[Job]) -> None:
        """Nobody waits for these any more, whether they are done or not."""
        for job in jobs:
            job.abandoned = True
            job.future.cancel()
        with self._changed:
            self._begun(self._waiting.drop(place))
            self._metrics.queue_sentences.set(len(self._waiting))
        self._live.difference_update(jobs)

    def _begun(self, jobs: Iterable[Job]) -> None:
        """These wait no longer."""
        for job in jobs:
            self._backlog.remove(job.place.lane, job.place.caller, job.work)

    # The worker's side.

    def _work(self) -> None:
        was_stopped = False
        try:
            while self._wait_for_work():
                self._drop_gone()
                self._join()
                for model, engine in self._engines.items():
                    if engine:
                        self._step(model, engine)
                self._fresh.clear()
                self._metrics.active_sentences.set(sum(map(len, self._engines.values())))
            was_stopped = True
        except Exception:
            log.exception("the decoding thread has ended")
        finally:
            self._beat = None
            self._refuse_all(broken=not was_stopped)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to end."""
        with self._changed:
            self._beat = None
            self._changed.wait_for(
                lambda: self._stopping or len(self._waiting) or any(self._engines.values())
            )
            self._beat = time.monotonic()
            return not self._stopping

    def _drop_gone(self) -> None:
        """Free the rows of those whom nobody waits for, before any more work is done for them."""
        now = time.monotonic()
        for engine in self._engines.values():
            self._deliver(engine.drop(now))

    def _join(self) -> None:
        """Let those whose turn it is into the tables."""
        now = time.monotonic()
        live = sum(map(len, self._engines.values()))
        reserved = sum(engine.reserved_rows for engine in self._engines.values())
        with self._changed:
            if not self._gathering.is_over(len(self._waiting), live, now):
                return
            share = 0.0 if self._gathering.is_long(now) else JOINING_SHARE
            jobs = take(self._waiting, self._settings.max_rows, reserved, now, share)
            if jobs:
                self._gathering.begin(now)
            self._begun(jobs)
            self._metrics.queue_sentences.set(len(self._waiting))
        late = [job for job in jobs if is_gone(job, now)]
        self._deliver([Outcome(job, DeadlineError()) for job in late])
        for job in jobs:
            job.joined = now
            self._metrics.queue_wait_seconds.observe(now - job.submitted)
        for model, engine in self._engines.items():
            own = [job for job in jobs if job.model == model and job not in late]
            if own:
                self._beat = began = time.monotonic()
                outcomes = engine.admit(own)
                seconds = time.monotonic() - began
                self._gathering.note_encoding(seconds)
                self._encoding_seconds += seconds
                self._deliver(outcomes)
                self._fresh.extend(own)

    def _step(self, model: str, engine: Engine) -> None:
        self._beat = began = time.monotonic()
        rows = engine.rows
        outcomes = engine.step()
        self._measure_step(model, rows, time.monotonic() - began)
        self._measure_lengths(outcomes)
        self._deliver(outcomes)

    def _measure_step(self, model: str, rows: int, seconds: float) -> None:
        self._pace.note(model, rows, seconds + self._encoding_seconds)
        self._encoding_seconds = 0.0
        self._metrics.step_seconds.labels(model).observe(seconds)
        self._metrics.batch_rows.labels(model).observe(rows)
        now = time.monotonic()
        for job in self._fresh:
            if job.model == model and not job.abandoned:
                self._metrics.first_token_seconds.observe(now - job.submitted)

    def _measure_lengths(self, outcomes: Sequence[Outcome]) -> None:
        for job, result in ((outcome.job, outcome.result) for outcome in outcomes):
            if isinstance(result, list) and job.request.target is None:
                steps = max(len(hypothesis.tokens) for hypothesis in result)
                self._pace.note_length(len(job.request.source), steps)

    def _refuse_all(self, *, broken: bool) -> None:
        with self._changed:
            self._stopping = True
            self._broken |= broken
            jobs = self._waiting.clear()
            self._begun(jobs)
        for engine in self._engines.values():
            jobs += engine.clear()
        error = self._refusal()
        self._deliver([Outcome(job, error) for job in jobs])

    def _refusal(self) -> ServiceError:
        """Why nothing is taken any more."""
        return self._unavailable() if self._broken else self._stopped()

    def _stopped(self) -> NotReadyError:
        return NotReadyError("The service is stopping.", self._settings.retry_after_seconds)

    def _unavailable(self) -> ModelUnavailableError:
        return ModelUnavailableError(self._settings.retry_after_seconds)

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Hand over all that a step has brought, in one call, so that the loop wakes up once."""
        wanted = [outcome for outcome in outcomes if not outcome.job.abandoned]
        if wanted:
            # The loop is closed already where a program ends without `stop`: nobody waits there.
            with contextlib.suppress(RuntimeError):
                wanted[0].job.future.get_loop().call_soon_threadsafe(_resolve, wanted)


def _observer(on_step: SentenceObserver | None, index: int) -> StepObserver | None:
    return None if on_step is None else lambda step: on_step(index, step)


def _resolve(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        job, result = outcome.job, outcome.result
        if job.future.done():
            continue
        match result:
            case ServiceError():
                job.future.set_exception(result)
            case SentenceStep():
                _observe(job, result)
            case hypotheses:
                best = hypotheses[0]
                _observe(job, SentenceStep(best, len(best.tokens), is_last=True))
                job.future.set_result(hypotheses)


def _observe(job: Job, step: SentenceStep) -> None:
    if job.on_step is not None:
        job.on_step(step)


def _trace(jobs: Sequence[Job]) -> None:
    """Tell the trace of a request until when it waited for a first place, and since then."""
    if jobs:
        now = time.monotonic()
        submitted = min(job.submitted for job in jobs)
        joined = min((job.joined for job in jobs if job.joined is not None), default=now)
        record_span("queue", submitted, joined)
        record_span("decode", joined, now)
