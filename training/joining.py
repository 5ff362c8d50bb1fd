"""Sentence pairs joined to longer ones, for a network that will meet longer texts than its corpus.

A decoder that has only seen short sentences loses its place in long ones. Pairs that follow each
other are translated, and aligned, as they are one by one (Kondo et al. 2021 join them likewise).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.dataset import OFFSET, ParallelDataset, TokenArray

SHORTEST = 20
"""Fewest pieces that a joined example aims at."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What the network learns from: example i is the pairs `rows[offsets[i]:offsets[i + 1]]`."""

    rows: npt.NDArray[np.int64]
    """Numbers of pairs in the corpus."""
    offsets: npt.NDArray[np.int64]

    @classmethod
    def single(cls, rows: npt.NDArray[np.int64]) -> "Examples":
        """Each pair by itself."""
        return cls(rows, np.arange(len(rows) + 1))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.int64]:
        return self.rows[self.offsets[index] : self.offsets[index + 1]]

    def take(self, indices: npt.NDArray[np.int64]) -> "Examples":
        """The examples of these numbers, in this order."""
        begins = self.offsets[indices]
        sizes = self.offsets[indices + 1] - begins
        offsets = _offsets(sizes)
        moved = np.repeat(begins - offsets[:-1], sizes)
        return Examples(self.rows[moved + np.arange(offsets[-1])], offsets)

    def lengths(self, of_pairs: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """Pieces of each example, EOS included, given those of each pair; only one EOS stays."""
        without_eos = np.concatenate([[0], np.cumsum(of_pairs[self.rows] - 1)])
        lengths: npt.NDArray[np.int64] = np.diff(without_eos[self.offsets]) + 1
        return lengths


def join_some(
    lengths: npt.NDArray[np.integer[Any]],
    share: float,
    longest: int,
    random: np.random.Generator,
    pairs: npt.NDArray[np.int64] | None = None,
) -> Examples:
    """All `pairs`, `share` of them drawn and joined at random, the others as they are.

    `pairs` are numbers of pairs of a corpus, all of them if it is left out; `lengths` are of the
    longer side of each pair, in pieces. How long an example becomes is drawn anew for each, between
    20 and `longest` pieces; a pair that is longer stays by itself.
    """
    pairs = np.arange(len(lengths)) if pairs is None else pairs
    count = len(pairs)
    drawn = random.permutation(count)[: round(share * count)] if share else np.empty(0, np.int64)
    alone = np.ones(count, bool)
    alone[drawn] = False
    singles, drawn = pairs[alone], pairs[drawn]
    sizes: list[int] = []
    room = 0
    for length in lengths[drawn].tolist():
        if length > room:
            sizes.append(0)
            room = int(random.integers(min(SHORTEST, longest), longest, endpoint=True))
        sizes[-1] += 1
        room -= length
    return Examples(
        np.concatenate([singles, drawn]),
        _offsets(np.concatenate([np.ones(len(singles), np.int64), np.array(sizes, np.int64)])),
    )


def join(dataset: ParallelDataset, examples: Examples) -> ParallelDataset:
    """One pair for each example; only the last EOS of either side stays."""
    return ParallelDataset(_joined(dataset.source, examples), _joined(dataset.target, examples))


def _joined(side: TokenArray, examples: Examples) -> TokenArray:
    sentences = []
    for index in range(len(examples)):
        *first, last = (side[row] for row in examples[index].tolist())
        sentences += [*(sentence[:-1] for sentence in first), last]
    return TokenArray(np.concatenate(sentences), _offsets(examples.lengths(side.lengths)))


def _offsets(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each part begins when all are laid end to end, and where the last ends."""
    offsets: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(sizes)]).astype(OFFSET)
    return offsets
