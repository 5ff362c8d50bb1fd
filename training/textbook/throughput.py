"""Training speed of several variants, measured side by side so that a busy machine favours none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from rich.console import Console
from rich.progress import track

from training.precision import place
from training.prepare import Prepared
from training.textbook.variants import Variant
from training.trainer import Trainer

WARMUP = 2
"""Rounds that are not counted: memory is taken and kernels are chosen in them."""
ROUNDS = 12
"""Rounds that are: one update of every variant each, in turn."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """The speed of one variant."""

    seconds_per_update: float
    """Median over the rounds."""
    tokens_per_second: float
    """Target tokens, at that median."""

    def at_pace(self, pace: float) -> "Throughput":
        """The same variant where every update takes `pace` times as long."""
        return Throughput(self.seconds_per_update * pace, self.tokens_per_second / pace)


def measure_throughput(
    chosen: Sequence[Variant], prepared: Prepared, console: Console
) -> list[Throughput]:
    """Time some updates of each variant, round robin; what they learned is thrown away."""
    trainers = [_probe(variant, prepared) for variant in chosen]
    running = [trainer.updates() for trainer in trainers]
    seconds: list[list[float]] = [[] for _ in chosen]
    tokens = [0] * len(chosen)
    rounds = track(
        range(WARMUP + ROUNDS),
        "Timing side by side",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for turn in rounds:
        for index, updates in enumerate(running):
            update = next(updates)
            if turn >= WARMUP:
                seconds[index].append(update.seconds)
                tokens[index] += update.tokens
    return [
        Throughput(median(times), total / ROUNDS / median(times))
        for times, total in zip(seconds, tokens, strict=True)
    ]


def _probe(variant: Variant, prepared: Prepared) -> Trainer:
    """A trainer for just these rounds, which learns nothing and so cannot diverge."""
    settings = replace(
        variant.config.training, max_steps=WARMUP + ROUNDS, learning_rate=1e-12, patience=None
    )
    placement = place(settings.device, settings.precision)
    return Trainer(replace(variant.config, training=settings), prepared, placement)
