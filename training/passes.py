"""Forward and backward pass of one batch: what an update needs of the network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.seq2seq import Seq2Seq
from training.batches import TrainingBatch
from training.config import TrainingConfig
from training.loss import label_smoothed_cross_entropy
from training.precision import Placement
from training.ranks import Ranks

Totals = Float[Tensor, "2"]
"""Negative log-likelihood of all target tokens in nats, and how many there are; float64."""


class Passes:
    """Adds the gradient of the mean loss of a batch to what stands in the parameters.

    Nothing in it waits for the device, so that it can also be recorded (`training/captured.py`).
    """

    def __init__(
        self, model: Seq2Seq, config: TrainingConfig, placement: Placement, ranks: Ranks
    ) -> None:
        self._parallel: nn.Module = ranks.parallel(model)
        self._placement = placement
        self._ranks = ranks
        self._pad_id = config.model.pad_id
        self._smoothing = config.training.label_smoothing

    def __call__(self, batch: TrainingBatch) -> Totals:
        """Totals over all ranks; the gradient is that of the smoothed loss of a target token."""
        batch = batch.to(self._placement.device)
        with self._placement.autocast():
            forced = self._parallel(batch.source.ids, batch.source.lengths, batch.inputs)
        sums = label_smoothed_cross_entropy(
            forced.logits, batch.targets, pad_id=self._pad_id, smoothing=self._smoothing
        )
        totals = self._ranks.total(
            torch.stack([sums.negative_log_likelihood.double(), sums.tokens.double()])
        )
        tokens = totals[1].clamp(min=1).to(sums.smoothed.dtype)
        with self._ranks.answering():
            # Ranks take the mean of their gradients; what is wanted is the sum.
            torch.autograd.backward(sums.smoothed * self._ranks.world / tokens)
        return totals
