"""One extension of many beams at once, each as wide as its own sentence asks."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CANDIDATES = 8
"""Continuations looked at for each row, whatever its beam, unless a beam is wider.

A constant, so that which of two equally probable tokens comes first depends on the row alone and
not on how wide its neighbours' beams are.
"""


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
    logits = logits.float()
    enough = min(count + banned.numel(), logits.shape[1])
    best, tokens = logits.topk(enough, dim=1)
    log_probs = best - logits.logsumexp(dim=1, keepdim=True)
    return Candidates(tokens, log_probs.masked_fill(torch.isin(tokens, banned), -torch.inf))


def extend(
    log_probs: Float[Tensor, " R"],
    options: Candidates,
    sentences: Int[Tensor, " R"],
    widths: Int[Tensor, " B"],
    widest: int,
) -> Extension:
    """The best continuations of every sentence, over all K · V of its beam.

    `sentences` (ascending) tells whose row each is, `widths` how many rows each sentence may have
    now, `widest` the greatest of them. A row's own K best continuations hold all of its share of
    the sentence's K best, so only `options` are compared.
    """
    if widest == 1:
        return _extend_single_rows(log_probs, options, sentences)
    totals = log_probs[:, None] + options.log_probs
    count = totals.shape[1]
    row_counts = torch.bincount(sentences, minlength=widths.shape[0])
    first_rows = row_counts.cumsum(0) - row_counts
    deepest = int(row_counts.max())
    slots = torch.arange(sentences.shape[0], device=sentences.device) - first_rows[sentences]
    grid = totals.new_full((widths.shape[0], deepest, count), -torch.inf)
    grid[sentences, slots] = totals
    # Stable, so that of equal totals the row that stood first stays first.
    ranked, places = grid.flatten(1).sort(dim=1, descending=True, stable=True)
    ranked, places = ranked[:, :widest], places[:, :widest]
    ranks = torch.arange(ranked.shape[1], device=ranked.device)
    kept = (ranks < widths[:, None]) & (ranked > -torch.inf)
    new_sentences = kept.nonzero()[:, 0]
    places = places[kept]
    parents = first_rows[new_sentences] + places.div(count, rounding_mode="floor")
    columns = places % count
    return Extension(
        parents,
        new_sentences,
        options.tokens[parents, columns],
        options.log_probs[parents, columns],
        ranked[kept],
    )


def _extend_single_rows(
    log_probs: Float[Tensor, " R"], options: Candidates, sentences: Int[Tensor, " R"]
) -> Extension:
    """Where no sentence may have more than one row there is nothing to compare between rows."""
    token_log_probs, columns = options.log_probs.max(dim=1)
    rows = torch.arange(log_probs.shape[0], device=log_probs.device)
    tokens = options.tokens[rows, columns]
    return Extension(rows, sentences, tokens, token_log_probs, log_probs + token_log_probs)
