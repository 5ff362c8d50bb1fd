"""Attention of many rows over memories that are stored once a sentence.

Two exact rewrites of the reference's formulas make it cheap:

- tanh(q + k) = 1 − 2 / (1 + e^{2q} e^{2k}). e^{2k} is computed once a sentence and e^{2q} once a
  step, so that the inner loop has a product and a reciprocal and no tanh; the constant drops out in
  the softmax.
- W Σ_j α_j h_j = Σ_j α_j W h_j: `values` are the annotations after every matrix that reads the
  context, gates and readout side by side.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from model.packed import PackedLinear

LARGEST_EXPONENT = 20.0
"""Queries and keys are clamped to ±20, where tanh has long been ±1; e^{2·20} e^{2·20} is finite."""

CHUNK_NUMBERS = 1 << 22
"""Intermediate numbers held at once (16 MiB in float32), however many rows and positions."""


@dataclass(frozen=True, slots=True)
class RowGrid:
    """Rows of different sentences laid out as a grid: sentences × hypotheses of each."""

    sentences: int
    depth: int
    """Hypotheses of the sentence that has most."""
    places: Int[Tensor, " R"] | None
    """Where each row stands in the flattened grid; None where rows fill it in order."""

    @classmethod
    def of(cls, rows: Int[Tensor, " R"], sentences: int) -> "RowGrid":
        """The grid of rows whose sentences are `rows`, ascending."""
        counts = torch.bincount(rows, minlength=sentences)
        depth = int(counts.max())
        if depth * sentences == rows.shape[0]:
            return cls(sentences, depth, None)
        first_rows = counts.cumsum(0) - counts
        slots = torch.arange(rows.shape[0], device=rows.device) - first_rows[rows]
        return cls(sentences, depth, rows * depth + slots)

    def spread(self, rows: Float[Tensor, "R A"]) -> Float[Tensor, "B K A"]:
        """Rows put in their places; the places left over hold zeros and come to nothing."""
        shape = (self.sentences, self.depth, rows.shape[1])
        if self.places is None:
            return rows.view(shape)
        grid = rows.new_zeros(shape)
        grid.view(-1, rows.shape[1])[self.places] = rows
        return grid

    def gather(self, grid: Float[Tensor, "B K C"]) -> Float[Tensor, "R C"]:
        """The rows of a grid, in their own order."""
        flat = grid.flatten(0, 1)
        return flat if self.places is None else flat[self.places]


@dataclass(frozen=True, slots=True)
class FastMemory:
    """What the fast network remembers of B sentences, and which rows attend to them."""

    keys: Float[Tensor, "B S A"]
    """e^{2 U_a h_j}; A is 0 without attention."""
    values: Float[Tensor, "B S C"]
    """The annotations as every reader of the context sees them."""
    bias: Float[Tensor, "B S"]
    """0 where a source token stands, −∞ on padding."""
    grid: RowGrid

    def select(self, rows: Int[Tensor, " R"]) -> "FastMemory":
        """The same memory, attended to by rows of these sentences (ascending); copies nothing."""
        return replace(self, grid=RowGrid.of(rows, self.bias.shape[0]))

    def keep(self, sentences: Int[Tensor, " B"], positions: int) -> "FastMemory":
        """The memory of these sentences alone, at most so many positions long."""
        positions = min(positions, self.bias.shape[1])
        return FastMemory(
            self.keys[sentences, :positions],
            self.values[sentences, :positions],
            self.bias[sentences, :positions],
            RowGrid(sentences.shape[0], 1, None),
        )

    def join(self, other: "FastMemory") -> "FastMemory":
        """These sentences and then the other's, padded to the longer source."""
        positions = max(self.bias.shape[1], other.bias.shape[1])
        parts = [self._padded(positions), other._padded(positions)]
        sentences = sum(part.bias.shape[0] for part in parts)
        return FastMemory(
            torch.cat([part.keys for part in parts]),
            torch.cat([part.values for part in parts]),
            torch.cat([part.bias for part in parts]),
            RowGrid(sentences, 1, None),
        )

    def _padded(self, positions: int) -> "FastMemory":
        behind = positions - self.bias.shape[1]
        return FastMemory(
            pad(self.keys, (0, 0, 0, behind)),
            pad(self.values, (0, 0, 0, behind)),
            pad(self.bias, (0, behind), value=-torch.inf),
            self.grid,
        )

    def fixed_context(self) -> Float[Tensor, "R C"]:
        """The context of a network without attention: each sentence's one vector."""
        grid = self.grid
        return grid.gather(self.values.expand(-1, grid.depth, -1))


class FastAttention:
    """α and c of all rows, from exponentiated keys and queries."""

    def __init__(self, energy: Float[Tensor, "1 A"]) -> None:
        # Packed, and in float32: a row's energy must not depend on how many rows there are.
        self._energy = PackedLinear(-2.0 * energy, None, torch.float32)
        self._one = torch.ones((), device=energy.device)

    def __call__(
        self, queries: Float[Tensor, "R A"], memory: FastMemory
    ) -> tuple[Float[Tensor, "R S"], Float[Tensor, "R C"]]:
        """Weights α_ij and Σ_j α_ij `values`_j of each row, given W_a s."""
        grid = memory.grid
        spread = grid.spread(exponential(queries))
        sentences, depth, units = spread.shape
        positions = memory.bias.shape[1]
        chunk = max(1, CHUNK_NUMBERS // (depth * positions * units))
        energies = torch.cat(
            [
                self._energies(spread[first : first + chunk], memory.keys[first : first + chunk])
                for first in range(0, sentences, chunk)
            ]
        )
        weights = torch.softmax(energies + memory.bias[:, None], dim=-1)
        contexts = torch.bmm(weights.to(memory.values.dtype), memory.values)
        return grid.gather(weights), grid.gather(contexts)

    def _energies(
        self, queries: Float[Tensor, "B K A"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B K S"]:
        hidden = torch.addcmul(self._one, queries[:, :, None], keys[:, None]).reciprocal_()
        return self._energy(hidden.flatten(0, 2)).view(hidden.shape[:3])


def exponential(x: Float[Tensor, "*R A"]) -> Float[Tensor, "*R A"]:
    """e^{2x} in float32, within the range where products of two are finite."""
    return x.float().clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT).mul_(2.0).exp_()
