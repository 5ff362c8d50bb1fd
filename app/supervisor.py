"""Keeps a decoding worker running: notices one that is stuck or dead, and replaces it.

A worker is a thread, and a thread cannot be killed: a stuck one is abandoned. Its callers are
answered at once, a new scheduler with empty tables takes over the same networks (which never
change), and the old thread ends as soon as it comes back. Too many failures in a short time cannot
be mended from inside: then the process has to end, and whoever started it starts it anew.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

from app.admission import Admission, Backlog
from app.engine import Engine
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.pace import Pace
from app.scheduler import Scheduler
from app.settings import Settings
from model.step_model import StepModel

log = logging.getLogger(__name__)

MAX_FAILURES = 5
"""So many failures within `FAILURE_WINDOW_SECONDS`, or threads still stuck, end the process."""
FAILURE_WINDOW_SECONDS = 60.0
CHECKS_PER_STALL = 5
"""How often the heartbeat is looked at in the time after which a worker counts as stuck."""

Network: TypeAlias = StepModel[Any]


class Supervisor:
    """Owns the scheduler in use; every method belongs to the event loop."""

    def __init__(
        self,
        networks: Mapping[str, Network],
        settings: Settings,
        metrics: Metrics,
        lifecycle: Lifecycle,
        pace: Pace | None = None,
    ) -> None:
        self._networks = dict(networks)
        self._settings = settings
        self._metrics = metrics
        self._lifecycle = lifecycle
        self.pace = pace or Pace()
        self._backlog = Backlog()
        self.admission = Admission(settings, self.pace, self._backlog)
        """One for all schedulers: whoever was let in is in, whichever worker gets to them."""
        self._failures: list[float] = []
        self._abandoned: list[Scheduler] = []
        self._watch: asyncio.Task[None] | None = None
        self.scheduler = self._new_scheduler()
        """The one in use; take it anew for each request, since it may be replaced."""

    def start(self) -> None:
        """Start the worker and the watch over it; once in the life of a supervisor."""
        self.scheduler.start()
        self._watch = asyncio.create_task(self._watch_worker(), name="watchdog")
        self._watch.add_done_callback(self._watch_ended)

    async def stop(self) -> None:
        """Stop; whoever still waits gets `NotReadyError`. Does not wait for a stuck worker."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        await self.scheduler.stop()

    @property
    def is_working(self) -> bool:
        """Whether sentences that are submitted now will be decoded."""
        return self.scheduler.is_working and not self._is_stuck()

    @property
    def max_rows(self) -> int:
        """Hypotheses that may be decoded side by side."""
        return self._settings.max_rows

    @property
    def models(self) -> set[str]:
        """Identities of the models that can be decoded with."""
        return set(self._networks)

    def add(self, model: str, network: Network) -> None:
        """Decode with one more model from now on."""
        self._networks[model] = network
        self.scheduler.add_engine(model, Engine(network))

    def remove(self, model: str) -> None:
        """Forget a model that nobody uses any more."""
        del self._networks[model]
        self.scheduler.remove_engine(model)

    def _new_scheduler(self) -> Scheduler:
        engines = {model: Engine(network) for model, network in self._networks.items()}
        return Scheduler(engines, self._settings, self._metrics, self.pace, self._backlog)

    def _is_stuck(self) -> bool:
        return self.scheduler.stalled_seconds > self._settings.stall_seconds

    async def _watch_worker(self) -> None:
        while self._lifecycle.failure is None:
            await asyncio.sleep(self._settings.stall_seconds / CHECKS_PER_STALL)
            if not self.scheduler.is_working:
                self._replace("dead")
            elif self._is_stuck():
                self._replace("stuck")

    def _watch_ended(self, watch: "asyncio.Task[None]") -> None:
        """A watch that fails, where no new thread can be had for instance, watches no more."""
        if not watch.cancelled() and (error := watch.exception()) is not None:
            log.error("the watch over the decoding worker failed", exc_info=error)
            self._lifecycle.fail(f"the decoding worker is not watched ({type(error).__name__})")

    def _replace(self, reason: str) -> None:
        log.error("the decoding worker is %s; another one takes its place", reason)
        self._metrics.worker_replacements.labels(reason).inc()
        self.scheduler.abandon()
        self._abandoned = [one for one in (*self._abandoned, self.scheduler) if one.is_working]
        now = time.monotonic()
        self._failures = [at for at in self._failures if now - at < FAILURE_WINDOW_SECONDS]
        self._failures.append(now)
        if max(len(self._failures), len(self._abandoned)) >= MAX_FAILURES:
            self._lifecycle.fail(
                f"the decoding worker failed {MAX_FAILURES} times (last time it was {reason})"
            )
            return
        self.scheduler = self._new_scheduler()
        self.scheduler.start()
