"""One extension of many beams at once, each as wide as its own sentence asks."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

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
    """The most probable continuations of each row, C of them, best first."""

    tokens: Int[Tensor, "R C"]
    log_probs: Float[Tensor, "R C"]
    """log p(y_i | y_<i, x); −∞ for a token that is never produced."""


@dataclass(frozen=True, slots=True)
class Extension:
    """The new rows: those of one sentence side by side, best first."""

    parents: Int[Tensor, " N"]
    """Row that each new one extends."""
    sentences: Int[Tensor, " N"]
    tokens: Int[Tensor, " N"]
    token_log_probs: Float[Tensor, " N"]
    log_probs: Float[Tensor, " N"]
    """Log-probability of the whole hypothesis, the new token included."""


def candidates(
    logits: Float[Tensor, "R V"], banned: Int[Tensor, " X"], count: int = CANDIDATES
) -> Candidates:
    """The `count` most probable continuations of each row that are not among `banned`.

    Probabilities are the network's own: a banned token keeps its share, so that a hypothesis costs
    exactly what teacher forcing says. Rows whose logits are not finite get NaN.
    """
    enough = min(count + banned.numel(), logits.shape[1])
    chunks = [
        _most_probable(logits[first : first + CHUNK_ROWS].float(), enough)
        for first in range(0, logits.shape[0], CHUNK_ROWS)
    ]
    tokens = torch.cat([chunk.tokens for chunk in chunks])
    log_probs = torch.cat([chunk.log_probs for chunk in chunks])
    return Candidates(tokens, log_probs.masked_fill(_is_any_of(tokens, banned), -torch.inf))


def prescribe(
    options: Candidates,
    logits: Float[Tensor, "R V"],
    rows: Int[Tensor, " F"],
    tokens: Int[Tensor, " F"],
) -> Candidates:
    """Leave each of `rows` one continuation, its own of `tokens`, however probable it is."""
    chosen = logits[rows].float().log_softmax(dim=1).gather(1, tokens[:, None])
    log_probs = options.log_probs.index_fill(0, rows, -torch.inf)
    log_probs[rows, 0] = chosen[:, 0]
    continuations = options.tokens.clone()
    continuations[rows, 0] = tokens
    return Candidates(continuations, log_probs)


def _is_any_of(tokens: Int[Tensor, "R C"], banned: Int[Tensor, " X"]) -> Bool[Tensor, "R C"]:
    return (tokens[:, :, None] == banned).any(dim=2)


def _most_probable(logits: Float[Tensor, "R V"], count: int) -> Candidates:
    best, tokens = largest(logits, count)
    # The softmax kernel is the fastest way to Σ exp; its greatest value is exact to rounding,
    # where the others may underflow: log Σ exp = best − log p(best).
    top = torch.softmax(logits, dim=1).gather(1, tokens[:, :1])
    return Candidates(tokens, best - (best[:, :1] - top.log()))


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
    every_row = torch.arange(rows, device=values.device)[:, None]
    pool = whole[every_row, chosen].flatten(1)
    if blocks * BLOCK < size:
        # The rest, which fills no block, stands behind the chosen blocks as one more of them.
        pool = torch.cat([pool, values[:, blocks * BLOCK :]], dim=1)
        chosen = pad(chosen, (0, 1), value=blocks)
    best, places = pool.topk(count, dim=1)
    block = places.div(BLOCK, rounding_mode="floor")
    return best, places + (chosen.gather(1, block) - block) * BLOCK


def extend(
    log_probs: Float[Tensor, " R"],
    options: Candidates,
    layout: RowLayout,
    widths: Int[Tensor, " B"],
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
    grid = layout.grid.spread(log_probs[:, None] + options.log_probs, empty=-torch.inf)
    # Stable, so that of equal totals the row that stood first stays first.
    ranked, places = grid.flatten(1).sort(dim=1, descending=True, stable=True)
    ranked, places = ranked[:, :widest], places[:, :widest]
    ranks = torch.arange(ranked.shape[1], device=ranked.device)
    sentences, kept = ((ranks < widths[:, None]) & (ranked > -torch.inf)).nonzero().unbind(dim=1)
    places = places[sentences, kept]
    rows = places.div(count, rounding_mode="floor")
    parents = layout.first_rows[sentences] + rows
    # The same places in the rows' own table, without the empty ones of the grid.
    places = parents * count + (places - rows * count)
    return Extension(
        parents,
        sentences,
        options.tokens.take(places),
        options.log_probs.take(places),
        ranked[sentences, kept],
    )


def _extend_single_rows(
    log_probs: Float[Tensor, " R"], options: Candidates, layout: RowLayout
) -> Extension:
    """Where no sentence may have more than one row there is nothing to compare between rows."""
    token_log_probs, columns = options.log_probs.max(dim=1)
    tokens = options.tokens.gather(1, columns[:, None])[:, 0]
    rows = torch.arange(log_probs.shape[0], device=log_probs.device)
    return Extension(rows, layout.sentences, tokens, token_log_probs, log_probs + token_log_probs)
