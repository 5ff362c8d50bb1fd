"""Forced decoding: what a network thinks of a target that is already there."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.batch import SentenceBatch, pad_sentences
from model.hypothesis import Hypothesis, SearchOptions, score
from model.step_model import M, StepModel


@torch.inference_mode()
def forced(
    model: StepModel[M],
    batch: SentenceBatch,
    targets: Sequence[Sequence[int]],
    options: SearchOptions | None = None,
) -> list[Hypothesis]:
    """Log-probabilities and attention of given targets, one for each source sentence.

    Targets have no BOS and usually end in EOS (`finished` says whether they do). Only the penalties
    of `options` matter, for the score. Raises ValueError if a target is empty or their number is
    not the batch's.
    """
    options = options or SearchOptions()
    if len(targets) != batch.ids.shape[0]:
        raise ValueError(f"{len(targets)} targets were given for {batch.ids.shape[0]} sentences")
    padded = pad_sentences(targets, model.config.pad_id).to(batch.ids.device)
    log_probs, weights = _teacher_forced(model, batch, padded.ids)
    return [
        _hypothesis(
            tuple(target),
            log_probs[index, : len(target)],
            weights[index, : len(target), : int(batch.lengths[index])],
            options,
            model.config.eos_id,
        )
        for index, target in enumerate(targets)
    ]


def _teacher_forced(
    model: StepModel[M], batch: SentenceBatch, targets: Int[Tensor, "B T"]
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T W"]]:
    """Step along all targets at once; what stands behind the end of a shorter one is not used."""
    memory, state = model.encode(batch.ids, batch.lengths)
    memory = memory.select(torch.arange(targets.shape[0], device=targets.device))
    inputs = torch.full_like(targets[:, 0], model.config.bos_id)
    log_probs, weights = [], []
    for tokens in targets.unbind(dim=1):
        step = model.step(inputs, state, memory)
        logits = step.logits.float()
        chosen = logits.gather(1, tokens[:, None])[:, 0]
        log_probs.append(chosen - logits.logsumexp(dim=1))
        weights.append(step.weights)
        inputs, state = tokens, step.state
    return torch.stack(log_probs, dim=1).cpu(), torch.stack(weights, dim=1).cpu()


def _hypothesis(
    tokens: tuple[int, ...],
    token_log_probs: Float[Tensor, " T"],
    weights: Float[Tensor, "T W"],
    options: SearchOptions,
    eos_id: int,
) -> Hypothesis:
    log_prob = float(token_log_probs.sum())
    return Hypothesis(
        tokens,
        log_prob,
        tuple(token_log_probs.tolist()),
        score(log_prob, len(tokens), weights, options),
        weights,
        finished=tokens[-1] == eos_id,
    )
