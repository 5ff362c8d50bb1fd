"""Forced decoding: what a network thinks of a target that is already there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.batch import SentenceBatch, pad_sentences
from model.beam import never_produced
from model.decoder import Step
from model.head_weights import head_keys, look_back
from model.hypothesis import Hypothesis, SearchOptions, score
from model.ranking import candidates, prescribe
from model.step_model import M, StepModel


@torch.inference_mode()
def forced(
    model: StepModel[M],
    batch: SentenceBatch,
    targets: Sequence[Sequence[int]],
    options: SearchOptions | None = None,
    *,
    head: bool = False,
) -> list[Hypothesis]:
    """Log-probabilities and attention of given targets, one for each source sentence.

    Targets have no BOS and usually end in EOS (`finished` says whether they do). Only the penalties
    of `options` matter, for the score. With `head` they carry `head_weights`. Raises ValueError if
    a target is empty, their number is not the batch's, or there is no alignment head.
    """
    options = options or SearchOptions()
    if len(targets) != batch.ids.shape[0]:
        raise ValueError(f"{len(targets)} targets were given for {batch.ids.shape[0]} sentences")
    padded = pad_sentences(targets, model.config.pad_id).to(batch.ids.device)
    memory, state = model.encode(batch.ids, batch.lengths)
    steps = _teacher_forced(model, memory, state, padded.ids)
    hypotheses = []
    for index, target in enumerate(targets):
        tokens, positions = tuple(target), int(batch.lengths[index])
        weights = steps.weights[index, : len(target), :positions]
        head_weights = None
        if head:
            keys = head_keys(model, memory, index, batch.ids[index, :positions])
            states = steps.states[index, : len(target)]
            head_weights = look_back(model, states, tokens, keys, weights, is_whole=True)
        log_probs = steps.log_probs[index, : len(target)]
        log_prob = float(log_probs.sum())
        hypotheses.append(
            Hypothesis(
                tokens,
                log_prob,
                tuple(log_probs.tolist()),
                score(log_prob, len(tokens), weights, options),
                weights,
                finished=tokens[-1] == model.config.eos_id,
                head_weights=head_weights,
            )
        )
    return hypotheses


@dataclass(frozen=True, slots=True)
class _Steps:
    """All steps of a batch."""

    log_probs: Float[Tensor, "B T"]
    weights: Float[Tensor, "B T W"]
    states: Float[Tensor, "B T Z"]


def _teacher_forced(
    model: StepModel[M], memory: M, state: Float[Tensor, "B Z"], targets: Int[Tensor, "B T"]
) -> _Steps:
    """Step along all targets at once; what stands behind the end of a shorter one is not used."""
    memory = memory.select(torch.arange(targets.shape[0], device=targets.device))
    inputs = torch.full_like(targets[:, 0], model.config.bos_id)
    banned = never_produced(model.config)
    log_probs, weights, states = [], [], []
    for tokens in targets.unbind(dim=1):
        step = model.step(inputs, state, memory)
        log_probs.append(_log_probs(step, tokens, banned))
        weights.append(step.weights)
        states.append(step.state)
        inputs, state = tokens, step.state
    return _Steps(
        torch.stack(log_probs, dim=1).cpu(),
        torch.stack(weights, dim=1).cpu(),
        torch.stack(states, dim=1),
    )


def _log_probs(
    step: Step, tokens: Int[Tensor, " B"], banned: Bool[np.ndarray, " V"]
) -> Float[Tensor, " B"]:
    """log p(y_i | y_<i, x) of these tokens, as the search has it."""
    if step.exact is None:
        logits = step.logits.float()
        return logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(dim=1)
    options = candidates(step.logits, banned, exact=step.exact)
    given = tokens.numpy(force=True)
    chosen = prescribe(options, step.logits, np.arange(given.size), given, step.exact)
    return torch.from_numpy(chosen.log_probs[:, 0])
