"""The most probable continuations of many rows, out of all logits of the vocabulary.

Torch's `topk` spends most of its time on branches that the processor guesses wrong; numpy's sort
compares whole vectors. So what has to be ordered is narrowed down to a few hundred numbers of each
row, and these are sorted on the host.

What is compared are keys: each logit with its token, written in the bits that a wider type has
more. No two keys of a row are equal, so that the order depends on the row alone, and a key that
was found tells whose it is.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

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
"""Logits are compared in columns, as many as a multiple of this: several vectors of any processor.
"""

LOWEST = torch.finfo(torch.bfloat16).min
"""Below every logit, and the same number in every precision."""


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
    tokens, best, log_probs = (
        parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    )
    found = Candidates(tokens, log_probs)
    if exact is not None:
        found = _sharpen(found, exact(tokens) - best)
    np.putmask(found.log_probs, banned.take(tokens), -np.inf)
    return found


def _most_probable(
    logits: Float[Tensor, "R V"], count: int
) -> tuple[Int[np.ndarray, "R C"], Float[np.ndarray, "R C"], Float[np.ndarray, "R C"]]:
    """The `count` most probable tokens of each row, their logits and their log-probabilities."""
    grid = _key_grid(logits.shape[1], count, logits.dtype, logits.device)
    values = logits.float()
    log_probs = torch.log_softmax(values, dim=1)
    keys = grid.keys(values)
    # The largest keys stand in the columns that have the largest maxima.
    maxima = keys.view(-1, grid.depth, grid.columns).amax(dim=1).numpy(force=True)
    columns = grid.tokens(_greatest(maxima, count)) % grid.columns
    pool = _take(keys, (columns[:, :, None] + grid.levels).reshape(columns.shape[0], -1))
    best = _greatest(pool, count)
    tokens = grid.tokens(best)
    return tokens, grid.logits(best), _take(log_probs, tokens)


@dataclass(frozen=True, slots=True)
class KeyGrid:
    """Keys of V logits, `depth` in each of `columns`; what is left of the last level is padding."""

    columns: int
    depth: int
    dtype: torch.dtype
    """float32 for logits that were bfloat16, if it has bits enough, else float64."""
    places: Int[Tensor, " N"]
    """The token of each place, as integers as wide as a key."""
    levels: Int[np.ndarray, " D"]
    """Where the levels begin."""
    token_bits: int

    def keys(self, values: Float[Tensor, "R V"]) -> Float[Tensor, "R N"]:
        """Each logit with its token; overwrites logits that were bfloat16, given as float32."""
        keys = values.to(self.dtype).clamp_(min=LOWEST)
        if behind := self.places.shape[0] - values.shape[1]:
            keys = pad(keys, (0, behind), value=LOWEST)
        keys.view(self.places.dtype).bitwise_or_(self.places)
        return keys

    def tokens(self, keys: Float[np.ndarray, "R C"]) -> Int[np.ndarray, "R C"]:
        """Whose these keys are."""
        tokens: Int[np.ndarray, "R C"] = _bits(keys) & self.token_bits
        return tokens.astype(np.int64, copy=False)

    def logits(self, keys: Float[np.ndarray, "R C"]) -> Float[np.ndarray, "R C"]:
        """The logits that these keys were made of."""
        made_of: Float[np.ndarray, "R C"] = (_bits(keys) & ~self.token_bits).view(keys.dtype)
        return made_of.astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _key_grid(size: int, count: int, dtype: torch.dtype, device: torch.device) -> KeyGrid:
    """A grid in which the columns and what is taken of them are about equally many numbers."""
    columns = LANES * math.ceil(math.sqrt(count * size) / LANES)
    depth = -(-size // columns)
    narrow = dtype == torch.bfloat16 and depth * columns <= 1 << BFLOAT16_SPARE_BITS
    key, bits = (torch.float32, torch.int32) if narrow else (torch.float64, torch.int64)
    return KeyGrid(
        columns,
        depth,
        key,
        torch.arange(depth * columns, dtype=bits, device=device),
        np.arange(0, depth * columns, columns),
        (1 << (BFLOAT16_SPARE_BITS if narrow else FLOAT32_SPARE_BITS)) - 1,
    )


BFLOAT16_SPARE_BITS = 16
"""The last bits of a float32 that are zero where it was a bfloat16."""

FLOAT32_SPARE_BITS = 29
"""The last bits of a float64 that are zero where it was a float32."""


def _bits(keys: Float[np.ndarray, "R C"]) -> Int[np.ndarray, "R C"]:
    return keys.view(np.int32 if keys.dtype == np.float32 else np.int64)


def _greatest(keys: Float[np.ndarray, "R N"], count: int) -> Float[np.ndarray, "R C"]:
    """The `count` greatest of each row, greatest first; the row is sorted in place."""
    keys.sort(axis=1)
    return keys[:, : -count - 1 : -1]


def _take(values: Float[Tensor, "R N"], places: Int[np.ndarray, "R C"]) -> Float[np.ndarray, "R C"]:
    """The numbers that stand in these places of each row."""
    if values.is_cpu:  # where numpy reads the same memory, in a fraction of the time
        rows, width = values.shape
        if rows > 1:
            places = places + np.arange(0, rows * width, width)[:, None]
        taken: Float[np.ndarray, "R C"] = values.numpy().take(places)
        return taken
    return values.gather(1, torch.from_numpy(places).to(values.device)).numpy(force=True)


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
    places: Int[np.ndarray, "R C"] = bits[:, :count] & ((1 << FLOAT32_SPARE_BITS) - 1)
    return places


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


def _rounding(
    logits: Float[Tensor, "R V"], tokens: Int[np.ndarray, "R C"], exact: ExactLogits
) -> Float[np.ndarray, "R C"]:
    """What the logits of these tokens lost by being rounded."""
    index = torch.from_numpy(tokens).to(logits.device)
    lost: Float[np.ndarray, "R C"] = exact(tokens) - logits.gather(1, index).float().numpy(
        force=True
    )
    return lost


def candidates_among(
    options: Candidates,
    logits: Float[Tensor, "R V"],
    rows: Int[np.ndarray, " F"],
    allowed: Bool[np.ndarray, "F V"],
    exact: ExactLogits | None = None,
) -> Candidates:
    """Give each of `rows` its most probable continuations among those `allowed`."""
    tokens, log_probs = options.tokens.copy(), options.log_probs.copy()
    asked = torch.from_numpy(rows).to(logits.device)
    every = logits[asked].float().log_softmax(dim=1).numpy(force=True)
    every = np.where(allowed, every, -np.inf)
    best = largest(every, tokens.shape[1])
    tokens[rows] = best
    log_probs[rows] = np.take_along_axis(every, best, axis=1)
    if exact is not None:
        log_probs[rows] += _rounding(logits, tokens, exact)[rows]
    if options.log_gain is not None:
        log_probs[rows] -= options.log_gain[rows, None]
    return Candidates(tokens, log_probs, options.log_gain)


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
        found.log_probs[rows, 0] += _rounding(logits, chosen, exact)[rows, 0]
    if options.log_gain is not None:
        found.log_probs[rows, 0] -= options.log_gain[rows]
    return found
