"""One extension of many beams at once, each as wide as its own sentence asks.

Ranking the vocabulary is the device's work; what is left then, a few continuations of each row, is
the host's, in numpy (see `model/layout.py`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from model.config import ModelConfig
from model.decoder import ExactLogits
from model.layout import RowLayout

CANDIDATES = 8
"""Continuations looked at for each row, whatever its beam, unless a beam is wider.

A constant, so that which of two equally probable tokens comes first depends on the row alone and
not on how wide its neighbours' beams are.
"""

CHUNK_ROWS = 64
"""Rows whose logits are ranked at once: few enough for the cache, many enough for the overhead."""

BLOCK = 64
"""Neighbouring logits of which only the greatest is compared at first."""

FEWEST_BLOCKS = 48
"""Below so many blocks ranking them first is not worth it."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The most probable continuations of each row, C of them."""

    tokens: Int[np.ndarray, "R C"]
    log_probs: Float[np.ndarray, "R C"]
    """log p(y_i | y_<i, x), best first; −∞ for a token that is never produced."""
    log_gain: Float[np.ndarray, " R"] | None = None
    """By how much log Σ exp grew when rounded logits were made anew."""


@dataclass(frozen=True, slots=True)
class Extension:
    """The new rows: those of one sentence side by side, best first."""

    parents: Int[np.ndarray, " N"]
    """Row that each new one extends."""
    sentences: Int[np.ndarray, " N"]
    tokens: Int[np.ndarray, " N"]
    token_log_probs: Float[np.ndarray, " N"]
    log_probs: Float[np.ndarray, " N"]
    """Log-probability of the whole hypothesis, the new token included."""


def never_produced(config: ModelConfig) -> Bool[np.ndarray, " V"]:
    """Which tokens no search may produce: padding, BOS and the unknown piece."""
    banned = np.zeros(config.target_vocabulary_size, dtype=np.bool_)
    banned[[config.pad_id, config.bos_id, config.unk_id]] = True
    return banned


def candidates(
    logits: Float[Tensor, "R V"],
    banned: Bool[np.ndarray, " V"],
    count: int = CANDIDATES,
    exact: ExactLogits | None = None,
) -> Candidates:
    """The `count` most probable continuations of each row that are not `banned`.

    Probabilities are the network's own: a banned token keeps its share, so that a hypothesis costs
    exactly what teacher forcing says. Where `logits` are rounded, `exact` gives those of the most
    probable ones anew, and with them their order. Rows whose logits are not finite get NaN.
    """
    enough = min(count + int(np.count_nonzero(banned)), logits.shape[1])
    chunks = [
        _most_probable(logits[first : first + CHUNK_ROWS].float(), enough)
        for first in range(0, logits.shape[0], CHUNK_ROWS)
    ]
    parts = chunks[0] if len(chunks) == 1 else tuple(map(torch.cat, zip(*chunks, strict=True)))
    best, log_probs, tokens = parts
    found = Candidates(tokens.numpy(force=True), log_probs.numpy(force=True))
    if exact is not None:
        found = _sharpen(found, (exact(tokens) - best).numpy(force=True))
    found.log_probs[banned[found.tokens]] = -np.inf
    return found


def _sharpen(rounded: Candidates, errors: Float[np.ndarray, "R C"]) -> Candidates:
    """The same tokens after their logits have changed by `errors`, in their new order.

    Σ exp changes by what these tokens add to it; the many others, whose roundings cancel out, keep
    theirs.
    """
    log_probs = rounded.log_probs + errors
    gained = (np.exp(log_probs) - np.exp(rounded.log_probs)).sum(axis=1)
    log_gain = np.log1p(gained)
    log_probs -= log_gain[:, None]
    order = np.argsort(-log_probs, axis=1, kind="stable")
    return Candidates(
        np.take_along_axis(rounded.tokens, order, axis=1),
        np.take_along_axis(log_probs, order, axis=1),
        log_gain,
    )


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
    chosen = torch.from_numpy(found.tokens[:, :1]).to(logits.device)
    index = torch.from_numpy(rows).to(logits.device)
    log_probs = logits[index].float().log_softmax(dim=1).gather(1, chosen[index])
    if exact is not None:
        errors = exact(chosen) - logits.gather(1, chosen).float()
        log_probs = log_probs + errors[index]
    found.log_probs[rows] = -np.inf
    found.log_probs[rows, 0] = log_probs[:, 0].numpy(force=True)
    if options.log_gain is not None:
        found.log_probs[rows, 0] -= options.log_gain[rows]
    return found


def _most_probable(
    logits: Float[Tensor, "R V"], count: int
) -> tuple[Float[Tensor, "R C"], Float[Tensor, "R C"], Int[Tensor, "R C"]]:
    """The `count` greatest logits of each row, their log-probabilities, and their tokens."""
    best, tokens = largest(logits, count)
    # The softmax kernel is the fastest way to Σ exp; its greatest value is exact to rounding,
    # where the others may underflow: log Σ exp = best − log p(best).
    top = torch.softmax(logits, dim=1).gather(1, tokens[:, :1])
    return best, best - (best[:, :1] - top.log_()), tokens


def largest(
    values: Float[Tensor, "R V"], count: int
) -> tuple[Float[Tensor, "R C"], Int[Tensor, "R C"]]:
    """The `count` largest values of each row, greatest first, and where they stand.

    As `topk`, but for long rows twice as fast: the largest values lie in the blocks that have the
    largest maxima, and finding these is one vectorised pass.
    """
    rows, size = values.shape
    blocks = size // BLOCK
    if blocks < FEWEST_BLOCKS:
        best, places = values.topk(count, dim=1)
        return best, places
    whole = values[:, : blocks * BLOCK].view(rows, blocks, BLOCK)
    chosen = whole.amax(dim=2).topk(min(count, blocks), dim=1, sorted=False).indices
    pool = _blocks(values, whole, chosen)
    if blocks * BLOCK < size:
        # The rest, which fills no block, stands behind the chosen blocks as one more of them.
        pool = torch.cat([pool, values[:, blocks * BLOCK :]], dim=1)
        chosen = pad(chosen, (0, 1), value=blocks)
    best, places = pool.topk(count, dim=1)
    block = places >> BLOCK.bit_length() - 1
    return best, places + (chosen.gather(1, block) - block) * BLOCK


def _blocks(
    values: Float[Tensor, "R V"], whole: Float[Tensor, "R N L"], chosen: Int[Tensor, "R C"]
) -> Float[Tensor, "R CL"]:
    """The chosen blocks of each row side by side."""
    rows, blocks, _ = whole.shape
    if values.shape[1] % BLOCK == 0:  # all blocks of all rows are one table: the faster look-up
        first = torch.arange(0, rows * blocks, blocks, device=values.device)
        table = values.view(-1, BLOCK)
        return table.index_select(0, (chosen + first[:, None]).view(-1)).view(rows, -1)
    every_row = torch.arange(rows, device=values.device)[:, None]
    return whole[every_row, chosen].flatten(1)


def extend(
    log_probs: Float[np.ndarray, " R"],
    options: Candidates,
    layout: RowLayout,
    widths: Int[np.ndarray, " B"],
    widest: int,
) -> Extension:
    """The best continuations of every sentence, over all K · V of its beam.

    `layout` tells whose row each is, `widths` how many rows each sentence may have now, `widest`
    the greatest that any may have. A row's own K best continuations hold all of its share of the
    sentence's K best, so only `options` are compared.
    """
    if widest == 1:
        return _extend_single_rows(log_probs, options, layout)
    count = options.tokens.shape[1]
    totals = layout.spread(log_probs[:, None] + options.log_probs, empty=-np.inf)
    # Stable, so that of equal totals the row that stood first stays first.
    order = np.argsort(-totals, axis=1, kind="stable")[:, :widest]
    ranked = np.take_along_axis(totals, order, axis=1)
    ranks = np.arange(order.shape[1])
    sentences, kept = ((ranks < widths[:, None]) & (ranked > -np.inf)).nonzero()
    slots, columns = np.divmod(order[sentences, kept], count)
    parents = layout.first_rows[sentences] + slots
    return Extension(
        parents,
        sentences,
        options.tokens[parents, columns],
        options.log_probs[parents, columns],
        ranked[sentences, kept],
    )


def _extend_single_rows(
    log_probs: Float[np.ndarray, " R"], options: Candidates, layout: RowLayout
) -> Extension:
    """Where no sentence may have more than one row there is nothing to compare between rows."""
    rows = np.arange(log_probs.shape[0])
    columns = options.log_probs.argmax(axis=1)
    token_log_probs = options.log_probs[rows, columns]
    tokens = options.tokens[rows, columns]
    return Extension(rows, layout.sentences, tokens, token_log_probs, log_probs + token_log_probs)
