"""Attention as an adaptive weighted sum over the source's annotations.

Letters of shapes, here and in all of `model/`: B sentences, R rows (one hypothesis each),
S source positions, T target positions, K beam width, V target vocabulary, D embedding width,
E annotation width, H decoder units, A attention units, G all gates of a cell side by side,
Z a cell's state, W columns of attention weights (S, or 0 in a network without attention).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a decoder step needs of the source sentences, computed once a sentence.

    `values` are the annotations already multiplied into the gates of the cell that reads the
    context: since W Σ_j α_j h_j = Σ_j α_j (W h_j), the product is made once for each source
    position instead of once for each target token.
    """

    annotations: Float[Tensor, "B S E"]
    keys: Float[Tensor, "B S A"]
    values: Float[Tensor, "B S G"]
    mask: Bool[Tensor, "B S"]
    """True where a source token stands, EOS included, so that no row is masked as a whole."""

    def select(self, rows: Int[Tensor, " R"]) -> "Memory":
        """The memory of the sentences that `rows` name, in that order, repeats allowed."""
        return Memory(self.annotations[rows], self.keys[rows], self.values[rows], self.mask[rows])

    def join(self, other: "Memory") -> "Memory":
        """These sentences and then the other's, padded to the longer source."""
        positions = max(self.mask.shape[1], other.mask.shape[1])
        first, second = self._resized(positions), other._resized(positions)
        return Memory(
            torch.cat([first.annotations, second.annotations]),
            torch.cat([first.keys, second.keys]),
            torch.cat([first.values, second.values]),
            torch.cat([first.mask, second.mask]),
        )

    def keep(self, sentences: Int[Tensor, " B"]) -> "Memory":
        """The memory of these sentences alone, without the padding that only others needed."""
        kept = self.select(sentences)
        return kept._resized(int(kept.mask.sum(dim=1).max()))

    def _resized(self, positions: int) -> "Memory":
        behind = positions - self.mask.shape[1]
        return Memory(
            pad(self.annotations, (0, 0, 0, behind)),
            pad(self.keys, (0, 0, 0, behind)),
            pad(self.values, (0, 0, 0, behind)),
            pad(self.mask, (0, behind)),
        )


class AdditiveAttention(nn.Module):
    """The alignment model a(s, h_j) = v_aᵀ tanh(W_a s + U_a h_j) (Bahdanau et al. 2015, A.1.2)."""

    def __init__(self, state_size: int, annotation_size: int, units: int) -> None:
        super().__init__()
        self.query = nn.Linear(state_size, units)
        self.key = nn.Linear(annotation_size, units, bias=False)
        self.energy = nn.Linear(units, 1, bias=False)
        nn.init.xavier_uniform_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        nn.init.xavier_uniform_(self.key.weight)

    def keys(self, annotations: Float[Tensor, "B S E"]) -> Float[Tensor, "B S A"]:
        """U_a h_j, which no decoder state enters."""
        keys: Tensor = self.key(annotations)
        return keys

    def forward(
        self,
        state: Float[Tensor, "R H"],
        keys: Float[Tensor, "R S A"],
        mask: Bool[Tensor, "R S"],
    ) -> Float[Tensor, "R S"]:
        """Weights α_j = softmax_j(e_j), each row summing to one, zero where masked."""
        hidden = torch.tanh(self.query(state)[:, None, :] + keys)
        energies = self.energy(hidden).squeeze(-1).float()
        return torch.softmax(energies.masked_fill(~mask, -torch.inf), dim=-1)


class FixedVector(nn.Module):
    """No attention: the source is one vector, so the only weight is one.

    The classical encoder–decoder (Cho et al. 2014; Sutskever et al. 2014), kept as the baseline
    that attention was invented to beat.
    """

    def keys(self, annotations: Float[Tensor, "B 1 E"]) -> Float[Tensor, "B 1 0"]:
        """Nothing to compare with."""
        return annotations[:, :, :0]

    def forward(
        self,
        state: Float[Tensor, "R H"],  # noqa: ARG002 (the context is the same at every step)
        keys: Float[Tensor, "R 1 0"],  # noqa: ARG002
        mask: Bool[Tensor, "R 1"],
    ) -> Float[Tensor, "R 1"]:
        """A weight of one on the only vector."""
        return mask.float()
