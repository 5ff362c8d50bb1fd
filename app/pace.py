"""How long waiting takes: what the warm-up measured, times how much slower steps are by now."""

import threading
from collections.abc import Mapping
from itertools import accumulate

import numpy as np

NEWEST_SHARE = 0.05
"""Share of the newest step in the running mean: some twenty steps are remembered."""

LENGTH_SHARE = 0.02
"""Share of the newest sentence in what is known of lengths: some fifty are remembered."""

TYPICAL_STEPS = 20.0
"""How much the guess counts before any sentence has ended."""

UNMEASURED_SECONDS = 1e-5
"""For one row of one step of a model that had no warm-up; about right for a small one."""


class Pace:
    """Turns rows × steps into seconds of a full table. Any thread may call.

    A step of many rows costs hardly more than one of few, so a quiet hour tells nothing about how
    fast a full table is. The warm-up measures steps of every size; afterwards the steps that are
    made, of whatever size, are compared with it, together with the encodings between them. How
    many steps a sentence takes is guessed from its source; how far such guesses are off, on the
    whole, is learned from the sentences that end.
    """

    def __init__(self) -> None:
        self._measured: dict[str, tuple[list[int], list[float]]] = {}
        self._slowness = 1.0
        self._guessed_steps = self._made_steps = TYPICAL_STEPS
        self._lock = threading.Lock()

    def calibrate(self, model: str, step_seconds: Mapping[int, float]) -> None:
        """What the warm-up found: the time of a step by its rows, ascending.

        More rows never take less: a machine that was busy for a moment may have made it look so.
        """
        seconds = list(accumulate(step_seconds.values(), max))
        self._measured[model] = (list(step_seconds), seconds)

    def work(self, model: str, row_steps: float) -> float:
        """What so many rows × steps take in a full table at the pace of the warm-up, in seconds."""
        if model not in self._measured:
            return row_steps * UNMEASURED_SECONDS
        rows, seconds = self._measured[model]
        return row_steps * seconds[-1] / rows[-1]

    def note(self, model: str, rows: int, seconds: float) -> None:
        """A step of so many rows took so long, with the encodings since the one before."""
        if model not in self._measured:
            return
        expected = float(np.interp(rows, *self._measured[model]))
        with self._lock:
            self._slowness += NEWEST_SHARE * (seconds / expected - self._slowness)

    def note_length(self, guessed: int, made: int) -> None:
        """A sentence that was guessed to take so many steps took as many as were made."""
        with self._lock:
            self._guessed_steps += LENGTH_SHARE * (guessed - self._guessed_steps)
            self._made_steps += LENGTH_SHARE * (made - self._made_steps)

    def seconds(self, work: float) -> float:
        """How long `work` takes at the present pace."""
        return work * self._slowness * self._made_steps / self._guessed_steps
