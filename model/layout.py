"""How rows of different sentences lie in a grid, so that all sentences are worked on at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Grid:
    """R rows in a grid of P × K places."""

    groups: int
    depth: int
    places: Int[Tensor, " R"] | None
    """Where each row stands in the flattened grid; None where the rows fill it in order."""

    @classmethod
    def of(cls, groups: Int[Tensor, " R"], slots: Int[Tensor, " R"], count: int) -> "Grid":
        """The grid in which each row has a slot of its own in its group, one of `count`."""
        rows = groups.shape[0]
        depth = int(slots.max()) + 1 if rows else 0
        places = groups * depth + slots
        fills = depth * count == rows and torch.equal(
            places, torch.arange(rows, device=places.device)
        )
        return cls(count, depth, None if fills else places)

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
        return flat if self.places is None else flat[self.places]


@dataclass(frozen=True, slots=True)
class RowLayout:
    """R rows of B sentences, those of one sentence side by side."""

    sentences: Int[Tensor, " R"]
    """The sentence of each row, ascending."""
    counts: Int[Tensor, " B"]
    """Rows of each sentence; may be 0."""
    first_rows: Int[Tensor, " B"]
    """The first row of each sentence, or where it would stand."""
    slots: Int[Tensor, " R"]
    """Which of its sentence's rows each is."""
    grid: Grid
    """The rows as B × K places."""

    @classmethod
    def of(cls, sentences: Int[Tensor, " R"], count: int) -> "RowLayout":
        """The layout of rows that belong to `sentences` (ascending), of `count` sentences."""
        counts = torch.bincount(sentences, minlength=count)
        first_rows = counts.cumsum(0) - counts
        rows = torch.arange(sentences.shape[0], device=sentences.device)
        slots = rows - first_rows[sentences]
        return cls(sentences, counts, first_rows, slots, Grid.of(sentences, slots, count))
