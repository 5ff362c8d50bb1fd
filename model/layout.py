"""How rows of different sentences lie in a grid, so that all sentences are worked on at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RowLayout:
    """R rows of B sentences, those of one sentence side by side, as a grid of B × K places."""

    sentences: Int[Tensor, " R"]
    """The sentence of each row, ascending."""
    counts: Int[Tensor, " B"]
    """Rows of each sentence; may be 0."""
    first_rows: Int[Tensor, " B"]
    """The first row of each sentence, or where it would stand."""
    depth: int
    """Rows of the sentence that has most (K)."""
    places: Int[Tensor, " R"] | None
    """Where each row stands in the flattened grid; None where the rows fill it in order."""

    @classmethod
    def of(cls, sentences: Int[Tensor, " R"], count: int) -> "RowLayout":
        """The layout of rows that belong to `sentences` (ascending), of `count` sentences."""
        counts = torch.bincount(sentences, minlength=count)
        first_rows = counts.cumsum(0) - counts
        depth = int(counts.max())
        rows = sentences.shape[0]
        if depth * count == rows:
            return cls(sentences, counts, first_rows, depth, None)
        slots = torch.arange(rows, device=sentences.device) - first_rows[sentences]
        return cls(sentences, counts, first_rows, depth, sentences * depth + slots)

    @classmethod
    def single(cls, count: int, device: torch.device) -> "RowLayout":
        """One row for each sentence."""
        rows = torch.arange(count, device=device)
        return cls(rows, torch.ones_like(rows), rows, 1, None)

    def spread(self, rows: Float[Tensor, "R C"], empty: float) -> Float[Tensor, "B K C"]:
        """Rows put in their places; the places left over hold `empty`."""
        shape = (self.counts.shape[0], self.depth, rows.shape[1])
        if self.places is None:
            return rows.reshape(shape)
        grid = rows.new_full(shape, empty)
        grid.view(-1, rows.shape[1])[self.places] = rows
        return grid

    def collect(self, grid: Float[Tensor, "B K C"]) -> Float[Tensor, "R C"]:
        """The rows of a grid, in their own order."""
        flat = grid.flatten(0, 1)
        return flat if self.places is None else flat[self.places]
