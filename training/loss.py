"""Label-smoothed cross-entropy, summed over tokens so that batches of any size add up."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 256
"""Rows of logits worked on at a time: their float32 copy (8 MB at 8,000 pieces) stays in cache."""


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over the real tokens of a batch."""

    smoothed: Float[Tensor, ""]
    """What is minimised."""
    negative_log_likelihood: Float[Tensor, ""]
    """Plain cross-entropy in nats: its mean is the loss we report, exp of that the perplexity."""
    tokens: Int[Tensor, ""]
    """Target tokens, EOS included, padding not."""


def label_smoothed_cross_entropy(
    logits: Float[Tensor, "*R V"], targets: Int[Tensor, "*R"], *, pad_id: int, smoothing: float
) -> LossSums:
    """(1 − ε) · −log p(y) + ε · mean over V of −log p (Szegedy et al. 2016, section 7).

    Equal to `F.cross_entropy(reduction="sum", label_smoothing=ε)`, computed in float32 whatever
    the logits are, and a third faster for a batch of sentences (3,300 rows of 8,000 pieces,
    whole training step, two interleaved runs).
    """
    rows, wanted = logits.flatten(0, -2), targets.flatten()
    smoothed, likelihood = _SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        rows, wanted, pad_id, smoothing
    )
    return LossSums(smoothed, likelihood, (wanted != pad_id).sum())


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Loss and gradient in one pass over the logits, the largest tensor of a training step.

    The gradient, softmax(x) − (1 − ε) · onehot(y) − ε / V, falls out of what the loss needs
    anyway; composed of torch's own functions it would take five more passes.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it no public type
        logits: Tensor,
        targets: Tensor,
        pad_id: int,
        smoothing: float,
    ) -> tuple[Tensor, Tensor]:
        gradient = torch.empty_like(logits)
        nll = torch.zeros((), device=logits.device)
        uniform = torch.zeros((), device=logits.device)
        for begin in range(0, len(logits), CHUNK):
            rows = slice(begin, begin + CHUNK)
            wanted = targets[rows]
            log_probs = torch.log_softmax(logits[rows].float(), dim=-1)
            real = (wanted != pad_id)[:, None]
            nll -= (log_probs.gather(1, wanted[:, None]) * real).sum()
            uniform -= (log_probs.mean(dim=1, keepdim=True) * real).sum()
            probabilities = log_probs.exp_()
            probabilities -= smoothing / logits.shape[1]
            one = torch.full_like(wanted[:, None], smoothing - 1, dtype=probabilities.dtype)
            probabilities.scatter_add_(1, wanted[:, None], one)
            gradient[rows] = probabilities.mul_(real)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(nll)
        return (1 - smoothing) * nll + smoothing * uniform, nll

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        scale: Tensor,
        _likelihood: Tensor,
    ) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * scale.to(gradient.dtype), None, None, None
