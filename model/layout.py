"""How rows of different sentences lie in a grid, so that all sentences are worked on at once.

Whose row each is, is known on the host and worked out in numpy: the arrays are small, and a call of
numpy costs a third of one of torch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Grid:
    """R rows of a tensor in a grid of P × K places."""

    groups: int
    depth: int
    places: Int[Tensor, " R"] | None
    """Where each row stands in the flattened grid; None where the rows fill it in order."""

    @classmethod
    def of(
        cls,
        groups: Int[np.ndarray, " R"],
        slots: Int[np.ndarray, " R"],
        count: int,
        device: torch.device = CPU,
    ) -> "Grid":
        """The grid in which each row has a slot of its own in its group, one of `count`."""
        rows = groups.shape[0]
        depth = int(slots.max()) + 1 if rows else 0
        places = groups * depth + slots
        fills = depth * count == rows and np.array_equal(places, np.arange(rows))
        return cls(count, depth, None if fills else torch.from_numpy(places).to(device))

    def spread(self, rows: Float[Tensor, "R C"], empty: float) -> Float[Tensor, "P K C"]:
        """Rows put in their places; the places left over hold `empty`."""
        shape = (self.groups, self.depth, rows.shape[1])
        if self.places is None:
            return rows.reshape(shape)
        grid = rows.new_full(shape, empty)
        grid.view(-1, rows.shape[1])[self.places] = rows
        return grid

    def collect(self, grid: Float[Tensor, "P K C"]) -> Float[Tensor, "R C"]:
        """The rows of a grid, in their own order."""
        flat = grid.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)


@dataclass(frozen=True, slots=True)
class RowLayout:
    """R rows of B sentences, those of one sentence side by side."""

    sentences: Int[np.ndarray, " R"]
    """The sentence of each row, ascending."""
    counts: Int[np.ndarray, " B"]
    """Rows of each sentence; may be 0."""
    first_rows: Int[np.ndarray, " B"]
    """The first row of each sentence, or where it would stand."""
    slots: Int[np.ndarray, " R"]
    """Which of its sentence's rows each is."""

    @classmethod
    def of(cls, sentences: Int[np.ndarray, " R"], count: int) -> "RowLayout":
        """The layout of rows that belong to `sentences` (ascending), of `count` sentences."""
        counts = np.bincount(sentences, minlength=count)
        first_rows = counts.cumsum() - counts
        slots = np.arange(sentences.shape[0]) - first_rows[sentences]
        return cls(sentences, counts, first_rows, slots)

    def spread(self, rows: Float[np.ndarray, "R C"], empty: float) -> Float[np.ndarray, "B KC"]:
        """The rows of each sentence behind each other, as wide as the most rows of any need."""
        count, depth = self.counts.shape[0], int(self.counts.max(initial=0))
        if count * depth == rows.shape[0]:
            return rows.reshape(count, -1)
        grid = np.full((count, depth, rows.shape[1]), empty, dtype=rows.dtype)
        grid[self.sentences, self.slots] = rows
        return grid.reshape(count, -1)
