"""One extension of many beams at once, each as wide as its own sentence asks.

What ranking leaves of the vocabulary (`model/ranking.py`), a few continuations of each row, is the
host's work, in numpy (see `model/layout.py`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.config import ModelConfig
from model.layout import RowLayout
from model.ranking import Candidates, largest


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
    in_place: bool
    """Whether the parents are all rows in their order, so that nothing has to move."""

    def inherited(self, rows: Float[Tensor, "R Z"]) -> Float[Tensor, "N Z"]:
        """What the parents have, as rows of the new ones; the tensor itself where it can be."""
        if self.in_place:
            return rows
        return rows.index_select(0, torch.from_numpy(self.parents).to(rows.device))


def never_produced(config: ModelConfig) -> Bool[np.ndarray, " V"]:
    """Which tokens no search may produce: padding, BOS and the unknown piece."""
    banned = np.zeros(config.target_vocabulary_size, dtype=np.bool_)
    banned[[config.pad_id, config.bos_id, config.unk_id]] = True
    return banned


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
    order = largest(totals, widest)  # of equal totals, which are negative, the first row's is first
    ranked = totals[np.arange(order.shape[0])[:, None], order]
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
        in_place=np.array_equal(parents, np.arange(log_probs.shape[0])),
    )


def _extend_single_rows(
    log_probs: Float[np.ndarray, " R"], options: Candidates, layout: RowLayout
) -> Extension:
    """Where no sentence may have more than one row there is nothing to compare between rows."""
    rows = np.arange(log_probs.shape[0])
    best = options.log_probs.argmax(axis=1) + rows * options.log_probs.shape[1]
    token_log_probs = options.log_probs.take(best)
    tokens = options.tokens.take(best)
    return Extension(
        rows,
        layout.sentences,
        tokens,
        token_log_probs,
        log_probs + token_log_probs,
        in_place=True,
    )
