"""The longest pairs of a corpus as one batch: where gradients have far to go."""

from collections.abc import Sequence

import numpy as np

from model.tokenizer import Tokenizer
from training.batches import TrainingBatch, collate
from training.config import BOS_ID, PAD_ID
from training.corpus import CorpusError, Pair
from training.dataset import ParallelDataset, TokenArray

SENTENCES = 32
"""Pairs that are measured; medians are taken over them."""
LONGEST = 100
"""A pair with a longer side, in pieces, is left out: its backward pass would need much memory."""


def longest_pairs(dataset: ParallelDataset) -> TrainingBatch:
    """The pairs whose shorter side is longest. Raises CorpusError if no pair is short enough."""
    lengths = np.stack([dataset.source.lengths, dataset.target.lengths])
    allowed = np.flatnonzero(lengths.max(axis=0) <= LONGEST)
    if not len(allowed):
        raise CorpusError(f"no pair of sentences has at most {LONGEST} pieces on both sides")
    order = np.argsort(-lengths.min(axis=0)[allowed], kind="stable")
    return collate(dataset, allowed[order[:SENTENCES]], pad_id=PAD_ID, bos_id=BOS_ID)


def encoded(pairs: Sequence[Pair], source: Tokenizer, target: Tokenizer) -> ParallelDataset:
    """Pairs as a corpus of token ids in memory."""
    return ParallelDataset(
        _array([[*source.encode(pair.source), source.eos_id] for pair in pairs]),
        _array([[*target.encode(pair.target), target.eos_id] for pair in pairs]),
    )


def _array(sentences: Sequence[Sequence[int]]) -> TokenArray:
    offsets = np.cumsum([0, *map(len, sentences)])
    return TokenArray(np.concatenate([np.array(ids) for ids in sentences]), offsets)
