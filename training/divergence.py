"""Notices a training whose loss stays finite but has left all reason."""

import math
from collections import deque

from training.trainer import TrainingError, Update

WINDOW = 100
"""Updates over which the loss is averaged."""
WORSE_THAN_GUESSING = 1.5
"""Times the loss of guessing, ln V: an untrained network is at 1, a spike does not last."""


class Divergence:
    """Watches the loss of a run whose targets are of `vocabulary_size` pieces."""

    def __init__(self, vocabulary_size: int) -> None:
        self._guessing = math.log(vocabulary_size)
        self._losses: deque[float] = deque(maxlen=WINDOW)

    def watch(self, step: int, update: Update) -> None:
        """Take note of an update; TrainingError if the last ones were worse than guessing.

        Those whose loss is not finite are the trainer's business.
        """
        if not math.isfinite(update.loss):
            return
        self._losses.append(update.loss)
        mean = sum(self._losses) / len(self._losses)
        if len(self._losses) == WINDOW and mean > WORSE_THAN_GUESSING * self._guessing:
            raise TrainingError(
                f"step {step}: the loss has diverged, to {mean:.1f} nats a token over the last "
                f"{WINDOW} updates, where guessing has {self._guessing:.1f}; begin again in "
                f"another run folder with a lower training.learning_rate (it was "
                f"{update.learning_rate:.2g}); the best checkpoint is as it was"
            )
