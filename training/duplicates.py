"""Finds pairs that came before, in eight bytes a pair."""

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]


class SeenHashes:
    """A set of 64-bit hashes that grows by blocks.

    Held as sorted runs, each at least twice as long as the next: a block is looked up in a few of
    them, and every hash is merged a logarithmic number of times. A Python set takes ninety bytes
    for each.
    """

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, block: Hashes) -> npt.NDArray[np.bool_]:
        """Take in a block; for each of its hashes, whether it is seen for the first time."""
        fresh = np.zeros(len(block), np.bool_)
        fresh[np.unique(block, return_index=True)[1]] = True
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, block), len(run) - 1)
            fresh &= run[places] != block
        self._merge(np.sort(block[fresh]))
        return fresh

    def _merge(self, run: Hashes) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            # "stable" finds the two runs and merges them, where quicksort would start from nothing.
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)
