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

from model.layout import RowLayout
from model.packed import PackedLinear

LARGEST_EXPONENT = 20.0
"""Queries and keys are clamped to ±20, where tanh has long been ±1; e^{2·20} e^{2·20} is finite."""

CHUNK_NUMBERS = 1 << 21
"""Intermediate numbers held at once (8 MiB in float32), however many rows and positions."""

FEWEST_POSITIONS = 16
"""Source positions a memory has at the least: torch adds up a softmax row that is shorter than one
vector of the processor in another order, and a row must not depend on its company to the last bit.
"""


@dataclass(frozen=True, slots=True)
class FastMemory:
    """What the fast network remembers of B sentences, and which rows attend to them."""

    keys: Float[Tensor, "B S A"]
    """e^{2 U_a h_j}; A is 0 without attention."""
    values: Float[Tensor, "B S C"]
    """The annotations as every reader of the context sees them."""
    bias: Float[Tensor, "B S"]
    """0 where a source token stands, −∞ on padding."""
    layout: RowLayout
    """The rows that attend, one for each sentence until `select`."""

    def select(self, rows: Int[Tensor, " R"]) -> "FastMemory":
        """The same memory, attended to by rows of these sentences (ascending); copies nothing."""
        return replace(self, layout=RowLayout.of(rows, self.bias.shape[0]))

    def keep(self, sentences: Int[Tensor, " B"], positions: int) -> "FastMemory":
        """The memory of these sentences alone, cut behind so many positions."""
        positions = max(positions, FEWEST_POSITIONS)
        return FastMemory(
            self.keys[sentences, :positions],
            self.values[sentences, :positions],
            self.bias[sentences, :positions],
            RowLayout.single(sentences.shape[0], sentences.device),
        )

    def join(self, other: "FastMemory") -> "FastMemory":
        """These sentences and then the other's, padded to the longer source."""
        positions = max(self.bias.shape[1], other.bias.shape[1])
        parts = [self.padded(positions), other.padded(positions)]
        sentences = sum(part.bias.shape[0] for part in parts)
        return FastMemory(
            torch.cat([part.keys for part in parts]),
            torch.cat([part.values for part in parts]),
            torch.cat([part.bias for part in parts]),
            RowLayout.single(sentences, self.bias.device),
        )

    def padded(self, positions: int) -> "FastMemory":
        """The same memory with so many positions, the new ones masked."""
        behind = positions - self.bias.shape[1]
        return FastMemory(
            pad(self.keys, (0, 0, 0, behind)),
            pad(self.values, (0, 0, 0, behind)),
            pad(self.bias, (0, behind), value=-torch.inf),
            self.layout,
        )

    def fixed_context(self) -> Float[Tensor, "R C"]:
        """The context of a network without attention: each sentence's one vector."""
        return self.layout.collect(self.values.expand(-1, self.layout.depth, -1))


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
        layout = memory.layout
        # The places that no row takes come to something finite, which nobody collects.
        spread = layout.spread(exponential(queries), empty=0.0)
        energies = self._energies(spread, memory.keys)
        weights = torch.softmax(energies + memory.bias[:, None], dim=-1)
        contexts = torch.bmm(weights.to(memory.values.dtype), memory.values)
        return layout.collect(weights), layout.collect(contexts)

    def _energies(
        self, queries: Float[Tensor, "B K A"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B K S"]:
        """e_ij less a constant; halves the work until a half is small enough to be held."""
        sentences, depth, units = queries.shape
        if sentences > 1 and sentences * depth * keys.shape[1] * units > CHUNK_NUMBERS:
            half = sentences // 2
            parts = [(queries[:half], keys[:half]), (queries[half:], keys[half:])]
            return torch.cat([self._energies(*part) for part in parts])
        hidden = torch.addcmul(self._one, queries[:, :, None], keys[:, None]).reciprocal_()
        return self._energy(hidden.flatten(0, 2)).view(hidden.shape[:3])


def exponential(x: Float[Tensor, "*R A"]) -> Float[Tensor, "*R A"]:
    """e^{2x} in float32, within the range where products of two are finite."""
    return x.float().clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT).mul_(2.0).exp_()
