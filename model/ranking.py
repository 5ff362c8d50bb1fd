"""The most probable continuations of many rows, out of all logits of the vocabulary.

Torch's `topk` spends most of its time on branches that the processor guesses wrong; numpy's sort
compares whole vectors. So what has to be ordered is narrowed down to a few hundred numbers of each
row, and these are sorted on the host.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from model.decoder import ExactLogits

CANDIDATES = 8
"""Continuations looked at for each row, whatever its beam, unless a beam is wider.

A constant, so that which of two equally probable tokens comes first depends on the row alone and
not on how wide its neighbours' beams are.
"""

CHUNK_ROWS = 64
"""Rows whose logits are ranked at once: few enough for the cache, many enough for the overhead."""

LANES = 64
"""Logits are compared in columns, as many as a multiple of this: several vectors of any processor,
so that no sum or exponential of a row depends on where in memory the row stands.
"""

LOWEST = torch.finfo(torch.bfloat16).min
"""Below every logit, and the same number in every precision."""

LOG2_E = math.log2(math.e)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The most probable continuations of each row, C of them, in no particular order."""

    tokens: Int[np.ndarray, "R C"]
    log_probs: Float[np.ndarray, "R C"]
    """log p(y_i | y_<i, x); −∞ for a token that is never produced."""
    log_gain: Float[np.ndarray, " R"] | None = None
    """By how much log Σ exp grew when rounded logits were made anew."""


def candidates(
    logits: Float[Tensor, "R V"],
    banned: Bool[np.ndarray, " V"],
    count: int = CANDIDATES,
    exact: ExactLogits | None = None,
) -> Candidates:
    """The `count` most probable continuations of each row that are not `banned`.

    Probabilities are the network's own: a banned token keeps its share, so that a hypothesis costs
    exactly what teacher forcing says. Where `logits` are rounded, `exact` gives those of the most
    probable ones anew. Rows whose logits are not finite get no finite log-probability.
    """
    enough = min(count + int(np.count_nonzero(banned)), logits.shape[1])
    parts = [
        _most_probable(logits[first : first + CHUNK_ROWS], enough)
        for first in range(0, logits.shape[0], CHUNK_ROWS)
    ]
    tokens, best, log_sums = (
        parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    )
    found = Candidates(tokens, best - log_sums)
    if exact is not None:
        found = _sharpen(found, exact(tokens) - best)
    found.log_probs[banned[found.tokens]] = -np.inf
    return found


def _most_probable(
    logits: Float[Tensor, "R V"], count: int
) -> tuple[Int[np.ndarray, "R C"], Float[np.ndarray, "R C"], Float[np.ndarray, "R 1"]]:
    """The `count` most probable tokens of each row, their logits, and log Σ exp of all logits."""
    rows, size = logits.shape
    columns = LANES * math.ceil(math.sqrt(count * size) / LANES)
    depth = -(-size // columns)
    behind = depth * columns - size
    values = pad(logits, (0, behind), value=LOWEST) if behind else logits
    values = values.to(torch.float32, copy=True)
    # The largest values stand in the columns that have the largest maxima.
    grid = values.view(rows, depth, columns)
    chosen = largest(grid.amax(dim=1).numpy(force=True), count)
    pool = _columns(grid, chosen).reshape(rows, -1)
    places = largest(pool, count)
    every_row = np.arange(rows)[:, None]
    best = pool[every_row, places]
    column, level = np.divmod(places, depth)
    tokens = level * columns + chosen[every_row, column]
    if behind:
        tokens = tokens.clip(
            max=size - 1
        )  # where logits are no numbers, padding stands before them
    return tokens, best, _log_sums(values, best[:, :1])


def _columns(
    grid: Float[Tensor, "R N K"], chosen: Int[np.ndarray, "R C"]
) -> Float[np.ndarray, "R C N"]:
    """These columns of each row's grid."""
    if grid.is_cpu:  # where numpy reads the same memory, and takes half the time
        columns: Float[np.ndarray, "R C N"]
        columns = grid.numpy()[np.arange(grid.shape[0])[:, None], :, chosen]
        return columns
    index = torch.from_numpy(chosen).to(grid.device)[:, None].expand(-1, grid.shape[1], -1)
    return grid.gather(2, index).transpose(1, 2).numpy(force=True)


def _log_sums(
    logits: Float[Tensor, "R V"], greatest: Float[np.ndarray, "R 1"]
) -> Float[np.ndarray, "R 1"]:
    """log Σ exp of each row, given its greatest logit; overwrites `logits`.

    As powers of two, which torch computes five times as fast as those of e.
    """
    with np.errstate(all="ignore"):  # rows whose logits are no numbers have no sum either
        shift = torch.from_numpy(-LOG2_E * greatest).to(logits.device)
        powers = torch.add(shift, logits, alpha=LOG2_E, out=logits).exp2_()
        sums = powers.sum(dim=1, keepdim=True).numpy(force=True)
        log_sums: Float[np.ndarray, "R 1"] = greatest + np.log(sums)
    return log_sums


def largest(values: Float[np.ndarray, "R N"], count: int) -> Int[np.ndarray, "R C"]:
    """Where the `count` largest of each row stand, greatest first.

    Each number is sorted with its place, written in the bits that float64 has more than float32: no
    two are equal, and the order depends on the row alone. Of equal negative numbers, which
    log-probabilities are, the one that stands first comes first.
    """
    keys = np.maximum(values, LOWEST, dtype=np.float64)
    np.negative(keys, out=keys)
    bits = keys.view(np.int64)
    bits |= np.arange(values.shape[1])
    keys.sort(axis=1)
    places: Int[np.ndarray, "R C"] = bits[:, :count] & PLACE_BITS
    return places


PLACE_BITS = (1 << 29) - 1
"""The bits of a float64 that are zero where it was a float32."""


def _sharpen(rounded: Candidates, errors: Float[np.ndarray, "R C"]) -> Candidates:
    """The same tokens after their logits have changed by `errors`.

    Σ exp changes by what these tokens add to it; the many others, whose roundings cancel out, keep
    theirs.
    """
    log_probs = rounded.log_probs + errors
    gained = (np.exp(log_probs) - np.exp(rounded.log_probs)).sum(axis=1)
    log_gain = np.log1p(gained)
    log_probs -= log_gain[:, None]
    return Candidates(rounded.tokens, log_probs, log_gain)


def prescribe(
    options: Candidates,
    logits: Float[Tensor, "R V"],
    rows: Int[np.ndarray, " F"],
    tokens: Int[np.ndarray, " F"],
    exact: ExactLogits | None = None,
) -> Candidates:
    """Leave each of `rows` one continuation, its own of `tokens`, however probable it is."""
    found = Candidates(options.tokens.copy(), options.log_probs.copy())
    found.tokens[rows, 0] = tokens
    chosen = found.tokens[:, :1]
    index = torch.from_numpy(chosen).to(logits.device)
    asked = torch.from_numpy(rows).to(logits.device)
    log_probs = logits[asked].float().log_softmax(dim=1).gather(1, index[asked])[:, 0]
    found.log_probs[rows] = -np.inf
    found.log_probs[rows, 0] = log_probs.numpy(force=True)
    if exact is not None:
        errors = exact(chosen) - logits.gather(1, index).float().numpy(force=True)
        found.log_probs[rows, 0] += errors[rows, 0]
    if options.log_gain is not None:
        found.log_probs[rows, 0] -= options.log_gain[rows]
    return found
