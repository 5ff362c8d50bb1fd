"""Attention of many rows over memories that are stored once a sentence.

Three exact rewrites of the reference's formulas make it cheap:

- tanh(q + k) = 1 − 2 / (1 + e^{2q} e^{2k}). e^{2k} is computed once a sentence and e^{2q} once a
  step, so that the inner loop has a product and a reciprocal and no tanh; the constant drops out in
  the softmax. Queries and keys come multiplied by 2 log₂ e: powers of two are the cheaper ones.
- W Σ_j α_j h_j = Σ_j α_j W h_j: `values` are the annotations after every matrix that reads the
  context, gates and readout side by side.
- Σ_j α_j `values`_j is a bag of weighted embeddings. That operator adds up each row by itself,
  where a batched product gives a row other last bits in other company.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from model.fast_memory import FastMemory, ShelfRows
from model.same_bits import power_of_two_

EXPONENT_SCALE = 2.0 * math.log2(math.e)
"""What queries and keys are multiplied with: e^{2x} = 2^{x · 2 log₂ e}."""

LARGEST_EXPONENT = 20.0 * EXPONENT_SCALE
"""Keys are clamped to ±20 times that, so that e^{2k} is neither 0 nor ∞ and e^{2q} e^{2k} a number
whatever q. The sum of a clamped one and a query is far beyond where tanh is ±1, unless the query
cancels it.
"""

CHUNK_NUMBERS = 1 << 21
"""Intermediate numbers held at once (8 MiB in float32), however many rows and positions."""


class FastAttention:
    """α and c of all rows, from exponentiated keys and queries."""

    def __init__(self, energy: Float[Tensor, "1 A"]) -> None:
        self._energy = -2.0 * energy[0].detach()
        self._one = torch.ones((), device=energy.device)

    def __call__(
        self, queries: Float[Tensor, "R A"], memory: FastMemory
    ) -> tuple[Float[Tensor, "R S"], Float[Tensor, "R C"]]:
        """Weights α_ij and Σ_j α_ij `values`_j of each row, given W_a s, scaled; overwrites it."""
        queries = power_of_two_(queries)
        if len(memory.attending) == 1:
            return self._attend(queries, memory.attending[0])
        rows, widest = queries.shape[0], max(part.shelf.width for part in memory.attending)
        weights = queries.new_zeros(rows, widest)
        contexts = queries.new_empty(rows, memory.context_size)
        for part in memory.attending:
            some_weights, some_contexts = self._attend(queries[part.members], part)
            weights[part.members, : part.shelf.width] = some_weights
            contexts[part.members] = some_contexts
        return weights, contexts

    def _attend(
        self, queries: Float[Tensor, "R A"], part: ShelfRows
    ) -> tuple[Float[Tensor, "R S"], Float[Tensor, "R C"]]:
        """The same of the rows of one shelf, given e^{2 W_a s}."""
        # The places that no row takes come to something finite, which nobody collects.
        energies = self._energies(part.grid.spread(queries, empty=0.0), part.memory.keys)
        grid = torch.softmax(energies.add_(part.memory.bias[:, None]), dim=-1)
        weights = part.grid.collect(grid)
        contexts, *_ = torch.embedding_bag(
            part.values, part.positions, part.starts, False, SUM, False, weights.view(-1), False
        )
        return weights, contexts

    def _energies(
        self, queries: Float[Tensor, "B K A"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B K S"]:
        """e_ij less a constant; halves the work until a half is small enough to be held."""
        sentences, depth, units = queries.shape
        if sentences > 1 and sentences * depth * keys.shape[1] * units > CHUNK_NUMBERS:
            half = sentences // 2
            parts = [(queries[:half], keys[:half]), (queries[half:], keys[half:])]
            return torch.cat([self._energies(*part) for part in parts])
        hidden = torch.addcmul(self._one, queries[:, :, None], keys[:, None])
        # A sum for each row by itself: a matrix product would give a row other last bits in other
        # company, and costs more for few rows.
        return torch.div(self._energy, hidden, out=hidden).sum(dim=-1)


def exponentiated(keys: Float[Tensor, "*N A"]) -> Float[Tensor, "*N A"]:
    """e^{2k} in float32, given U_a h, scaled."""
    return power_of_two_(keys.float().clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT))


SUM = 0
"""The mode of `torch.embedding_bag` that adds up."""
