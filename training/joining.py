"""Sentence pairs joined to longer ones, for a head that will look at longer texts than its corpus.

The decoder's states drift on sentences longer than those it was trained on, and a head must have
seen such states to read them. Pairs that follow each other are aligned as they are one by one.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.dataset import OFFSET, ParallelDataset, TokenArray
from training.silver import SilverLinks

SHORTEST = 30
"""Pieces from which on a pair counts as long."""


def grouped(
    rows: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    longest: int,
    random: np.random.Generator,
) -> list[list[int]]:
    """All of `rows` in groups to be joined, each of at most `longest` pieces.

    `lengths` are of these rows, the longer side of each. How long a group becomes is drawn anew for
    each, between 30 and `longest`. A row that is longer by itself is a group of one.
    """
    groups: list[list[int]] = []
    room = 0
    for row, length in zip(rows.tolist(), lengths.tolist(), strict=True):
        if length > room:
            groups.append([])
            room = int(random.integers(min(SHORTEST, longest), longest, endpoint=True))
        groups[-1].append(row)
        room -= length
    return groups


def join(
    dataset: ParallelDataset, silver: SilverLinks, groups: Sequence[Sequence[int]]
) -> tuple[ParallelDataset, SilverLinks]:
    """One long pair for each group, with the links of its pairs; only the last EOS stays."""
    sources, targets, links = [], [], []
    for group in groups:
        source_at = target_at = 0
        for row in group:
            is_last = row == group[-1]
            source, target = dataset.source[row], dataset.target[row]
            links.append(silver[row].astype(np.int64) + np.array([source_at, target_at]))
            sources.append(source if is_last else source[:-1])
            targets.append(target if is_last else target[:-1])
            source_at += len(source) - 1
            target_at += len(target) - 1
    return (
        ParallelDataset(_joined(sources, groups), _joined(targets, groups)),
        SilverLinks(np.concatenate(links), _offsets(links, groups)),
    )


def _joined(
    sentences: list[npt.NDArray[np.integer]], groups: Sequence[Sequence[int]]
) -> TokenArray:
    return TokenArray(np.concatenate(sentences), _offsets(sentences, groups))


def _offsets(
    parts: Sequence[npt.NDArray[np.integer]], groups: Sequence[Sequence[int]]
) -> npt.NDArray[np.int64]:
    """Where each group's parts begin when all are laid end to end, and where the last ends."""
    ends = np.cumsum([0, *map(len, parts)])
    offsets: npt.NDArray[np.int64] = ends[np.cumsum([0, *map(len, groups)])].astype(OFFSET)
    return offsets
