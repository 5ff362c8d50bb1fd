"""A moving average of the weights: what is validated and shipped."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from model.seq2seq import Seq2Seq


def moving_average(model: Seq2Seq, decay: float) -> AveragedModel:
    """Exponential moving average of the parameters (Polyak & Juditsky 1992).

    The decay climbs from 0.1 to `decay` with the number of updates, so that the average does not
    remember the random start; a `decay` of 0 makes it a plain copy of the latest weights.
    """
    return AveragedModel(model, multi_avg_fn=_update(decay))


def _update(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        updates = int(count)
        rate = 1 - min(decay, (1 + updates) / (10 + updates))
        for average, parameter in zip(averaged, current, strict=True):
            average.lerp_(parameter, rate)

    return update
