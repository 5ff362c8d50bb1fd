"""The equations of the recurrent cells for products that were made with prepared weights.

tanh(x) = 2 σ(2x) − 1, and torch computes a sigmoid ten times as fast as a tanh. So the rows of a
cell's matrices whose products go through a tanh are doubled beforehand, which is exact in any
precision, and the equations take such products.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from model.cell import GRUCell, LSTMCell, RecurrentCell, TanhCell
from model.same_bits import sigmoid_

_MINUS_ONE = torch.tensor(-1.0)


def tanh_of_half(x: Float[Tensor, "*R H"]) -> Float[Tensor, "*R H"]:
    """tanh(x / 2); overwrites x."""
    return torch.add(_MINUS_ONE, sigmoid_(x), alpha=2.0, out=x)


class FastCell(ABC):
    """What `RecurrentCell` computes after its products."""

    tanh_gate: int
    """Which of the gates is a tanh."""

    def __init__(self, cell: RecurrentCell) -> None:
        self.units, self.state_size, self.gates_size = cell.units, cell.state_size, cell.gates_size
        self.scale = torch.ones(cell.gate_count, cell.units, device=cell.input.weight.device)
        """What the rows of both matrices and their biases are multiplied with (gates, H)."""
        self.scale[self.tanh_gate] = 2.0
        self.scale = self.scale.flatten()

    def output(self, state: Float[Tensor, "R Z"]) -> Float[Tensor, "R H"]:
        """The part of the state that other layers see."""
        return state

    @abstractmethod
    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],
    ) -> Float[Tensor, "R Z"]:
        """The next state, from both scaled products in float32; overwrites `recurrent`."""


class FastTanhCell(FastCell):
    """`TanhCell`: h' = tanh(W x + U h + b)."""

    tanh_gate = 0

    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],  # noqa: ARG002 (h enters through `recurrent` alone)
    ) -> Float[Tensor, "R Z"]:
        """h' from 2 (W x + b) and 2 U h."""
        return tanh_of_half(torch.add(projected, recurrent))


class FastGRUCell(FastCell):
    """`GRUCell`, gates in the order r, z, n: h' = (1 − z) ⊙ n + z ⊙ h."""

    tanh_gate = 2

    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],
    ) -> Float[Tensor, "R Z"]:
        """h' from the gates, n's doubled."""
        width = (2 * self.units,)
        projected_gates, projected_candidate = projected.tensor_split(width, dim=1)
        gates, candidate = recurrent.tensor_split(width, dim=1)
        reset, update = sigmoid_(gates.add_(projected_gates)).chunk(2, dim=1)
        torch.addcmul(projected_candidate, reset, candidate, out=candidate)
        return torch.lerp(tanh_of_half(candidate), state, update)


class FastLSTMCell(FastCell):
    """`LSTMCell`, gates in the order i, f, g, o: c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh(c')."""

    tanh_gate = 2

    def output(self, state: Float[Tensor, "R Z"]) -> Float[Tensor, "R H"]:
        """The hidden state h; the cell state c stays inside."""
        return state[:, : self.units]

    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],
    ) -> Float[Tensor, "R Z"]:
        """[h'; c'] from the gates, g's doubled."""
        write, keep, candidate, emit = torch.add(projected, recurrent).chunk(4, dim=1)
        cell = sigmoid_(keep) * state[:, self.units :]
        cell.addcmul_(sigmoid_(write), tanh_of_half(candidate))
        return torch.cat([sigmoid_(emit) * tanh_of_half(2.0 * cell), cell], dim=1)


_FAST: dict[type[RecurrentCell], type[FastCell]] = {
    GRUCell: FastGRUCell,
    LSTMCell: FastLSTMCell,
    TanhCell: FastTanhCell,
}


def fast_cell(cell: RecurrentCell) -> FastCell:
    """The equations of this cell."""
    return _FAST[type(cell)](cell)
