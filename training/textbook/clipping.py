"""One network trained with and without clipping, from the same start on the same batches.

The network is the one that explodes: tanh cells whose recurrent matrices have all singular values
at `SCALE`. Plain gradient descent shows what clipping is for; AdamW, which divides each step by the
size of past gradients, shows how much of that an adaptive optimiser does by itself.
"""

import math
from dataclasses import dataclass, replace

import torch
from rich.console import Console
from rich.progress import track

from training.config import TrainingConfig
from training.precision import place
from training.prepare import Prepared
from training.textbook.spectrum import scale_recurrence
from training.trainer import Trainer, TrainingError

SCALE = 2.0
"""Singular values of the recurrent matrices at the start."""
DESCENT_RATE = 2.0
"""Learning rate of plain gradient descent."""
CLIP_NORM = 1.0
"""Where the configuration switches clipping off, the runs that clip do it at this norm."""


@dataclass(frozen=True, slots=True)
class ClippingRun:
    """How one run fared."""

    optimizer: str
    clip_norm: float
    """0 where nothing was clipped."""
    losses: list[float | None]
    """Of every update, nats a token; None where it was not finite."""
    norms: list[float | None]
    """Of every gradient before clipping; None where it was not finite."""
    clipped: float
    """Share of updates whose gradient was scaled down."""
    guess: float
    """Loss of guessing every piece alike, ln V."""

    @property
    def final_loss(self) -> float | None:
        """Mean over the last tenth of the updates; None if one of them was not finite."""
        last = self.losses[-max(1, len(self.losses) // 10) :]
        finite = [loss for loss in last if loss is not None]
        return sum(finite) / len(finite) if len(finite) == len(last) else None

    @property
    def diverged(self) -> bool:
        """Whether it ended worse than it began, and no better than by guessing."""
        final, first = self.final_loss, self.losses[0]
        return final is None or (final >= self.guess and (first is None or final > first))

    @property
    def verdict(self) -> str:
        """What became of it, as a verb."""
        if self.diverged:
            return "diverges"
        assert self.final_loss is not None
        return "trains" if self.final_loss < self.guess else "has not learned yet"


def clipping_runs(
    config: TrainingConfig, prepared: Prepared, steps: int, console: Console
) -> list[ClippingRun]:
    """Both optimisers, without and with clipping."""
    limit = config.training.clip_norm or CLIP_NORM
    return [
        _run(config, prepared, steps, optimizer, clip_norm, console)
        for optimizer in ("Gradient descent", "AdamW")
        for clip_norm in (0.0, limit)
    ]


def _run(
    config: TrainingConfig,
    prepared: Prepared,
    steps: int,
    optimizer: str,
    clip_norm: float,
    console: Console,
) -> ClippingRun:
    descent = optimizer == "Gradient descent"
    settings = replace(
        config.training,
        clip_norm=clip_norm,
        learning_rate=DESCENT_RATE if descent else config.training.learning_rate,
        warmup_steps=min(config.training.warmup_steps, steps // 5),
        decay="none",
        max_steps=steps,
        patience=None,
    )
    varied = replace(config, model=replace(config.model, cell="rnn"), training=settings)
    trainer = Trainer(varied, prepared, place(settings.device, settings.precision))
    scale_recurrence(trainer.model, SCALE)
    if descent:
        trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=DESCENT_RATE)
    losses: list[float | None] = []
    norms: list[float | None] = []
    name = f"{optimizer}, {'clipped' if clip_norm else 'not clipped'}"
    try:
        for update in track(
            trainer.updates(),
            name,
            total=steps,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ):
            losses.append(_finite(update.loss))
            norms.append(_finite(update.gradient_norm))
    except TrainingError:
        # Nothing finite any more: the worst way to diverge, and what the picture is to show.
        losses.append(None)
        norms.append(None)
    guess = math.log(config.model.target_vocabulary_size)
    clipped = trainer.position.clipped / trainer.position.step
    return ClippingRun(optimizer, clip_norm, losses, norms, clipped, guess)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
