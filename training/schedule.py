"""The learning rate as a pure function of the step, so that resuming needs no state of its own."""

import math

from training.config import TrainerConfig


def note_on_warm_up(total_steps: int, config: TrainerConfig) -> str | None:
    """What is to be said of a run whose learning rate climbs to its last update; else None."""
    if total_steps > config.warmup_steps or config.decay == "none":
        return None
    return (
        f"{total_steps:,} updates in all, and training.warmup_steps is {config.warmup_steps:,}: "
        "the learning rate climbs to the end and never falls. Lower it, or train for longer or in "
        "smaller batches (max_epochs, max_batch_tokens)"
    )


def learning_rate(step: int, total_steps: int, config: TrainerConfig) -> float:
    """Rate of update `step` (from 0): linear warm-up to the peak, then the configured decay.

    `cosine` falls to zero at `total_steps` (Loshchilov & Hutter 2017, equation 5);
    `inverse_sqrt` falls with the root of the step (Vaswani et al. 2017, section 5.3).
    """
    warmup = min(config.warmup_steps, total_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    match config.decay:
        case "cosine":
            passed = (step - warmup) / max(1, total_steps - warmup)
            return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, passed)))
        case "inverse_sqrt":
            return config.learning_rate * math.sqrt(max(1, warmup) / max(1, step + 1))
        case "none":
            return config.learning_rate
