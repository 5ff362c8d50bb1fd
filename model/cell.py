"""The three recurrent cells of the textbook: one step from a state and an input to the next state.

All three share one shape of work: an affine map of the input, which does not depend on the state
and is therefore computed for all positions at once (`project`), and a step that adds an affine map
of the previous state and applies the cell's non-linearities (`combine`).

A state is one tensor of R independent rows; an LSTM's is hidden and cell state side by side.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.config import Cell


class RecurrentCell(nn.Module, ABC):
    """What the cells share: two affine maps into `gate_count` gates of H units each (G wide)."""

    gate_count: int
    state_count: int = 1

    def __init__(self, input_size: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.gates_size = self.gate_count * units
        self.state_size = self.state_count * units
        self.input = nn.Linear(input_size, self.gates_size)
        self.recurrent = nn.Linear(units, self.gates_size)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal recurrence keeps gradients in scale at the start (Saxe et al. 2014)."""
        for gate in self.recurrent.weight.chunk(self.gate_count):
            nn.init.orthogonal_(gate)
        for gate in self.input.weight.chunk(self.gate_count):
            nn.init.xavier_uniform_(gate)
        nn.init.zeros_(self.input.bias)
        nn.init.zeros_(self.recurrent.bias)

    def project(self, inputs: Float[Tensor, "*R D"]) -> Float[Tensor, "*R G"]:
        """The input's share of the gates, W x + b, for any number of positions at once."""
        projected: Tensor = self.input(inputs)
        return projected

    def output(self, state: Float[Tensor, "R Z"]) -> Float[Tensor, "R H"]:
        """The part of the state that other layers see."""
        return state

    def forward(
        self, projected: Float[Tensor, "R G"], state: Float[Tensor, "R Z"]
    ) -> Float[Tensor, "R Z"]:
        """One step, from the projected input and the previous state."""
        # Under autocast the products are bfloat16; the recurrence itself stays in the state's
        # precision, since rounding it at every step would add up over the sentence.
        recurrent = self.recurrent(self.output(state)).to(state.dtype)
        return self.combine(projected.to(state.dtype), recurrent, state)

    @abstractmethod
    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],
    ) -> Float[Tensor, "R Z"]:
        """The cell's own equations, from both affine maps and the previous state."""


class TanhCell(RecurrentCell):
    """The vanilla recurrent network (Elman 1990): h' = tanh(W x + U h + b)."""

    gate_count = 1

    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],  # noqa: ARG002 (h enters through `recurrent` alone)
    ) -> Float[Tensor, "R Z"]:
        """h' from W x + b and U h."""
        return torch.tanh(projected + recurrent)


class GRUCell(RecurrentCell):
    """The gated recurrent unit (Cho et al. 2014), in the form of PyTorch's `nn.GRUCell`.

    r = σ(W_r x + U_r h),  z = σ(W_z x + U_z h),  n = tanh(W_n x + r ⊙ (U_n h + b)),
    h' = (1 − z) ⊙ n + z ⊙ h.

    Two differences from the paper, equal in power but not in weights: here z keeps the old state
    (the paper's 1 − z does), and the reset gate acts after the matrix product.
    """

    gate_count = 3

    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],
    ) -> Float[Tensor, "R Z"]:
        """h' from the gates in the order r, z, n."""
        width = 2 * self.units
        projected_gates, projected_candidate = projected.tensor_split([width], dim=1)
        recurrent_gates, recurrent_candidate = recurrent.tensor_split([width], dim=1)
        reset, update = (projected_gates + recurrent_gates).sigmoid_().chunk(2, dim=1)
        candidate = torch.addcmul(projected_candidate, reset, recurrent_candidate).tanh_()
        return torch.lerp(candidate, state, update)


class LSTMCell(RecurrentCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000).

    i, f, o = σ(W x + U h),  g = tanh(W_g x + U_g h),  c' = f ⊙ c + i ⊙ g,  h' = o ⊙ tanh(c').
    The state is [h; c]; gates stand in the order i, f, g, o, as in PyTorch.
    """

    gate_count = 4
    state_count = 2

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """As the other cells; the forget gate starts open (Jozefowicz et al. 2015, section 4)."""
        super().reset_parameters()
        self.input.bias[self.units : 2 * self.units].fill_(1.0)

    def output(self, state: Float[Tensor, "R Z"]) -> Float[Tensor, "R H"]:
        """The hidden state h; the cell state c stays inside."""
        return state[:, : self.units]

    def combine(
        self,
        projected: Float[Tensor, "R G"],
        recurrent: Float[Tensor, "R G"],
        state: Float[Tensor, "R Z"],
    ) -> Float[Tensor, "R Z"]:
        """[h'; c'] from the gates in the order i, f, g, o."""
        write, keep, candidate, emit = (projected + recurrent).chunk(4, dim=1)
        cell = torch.sigmoid(keep) * state[:, self.units :]
        cell = cell + torch.sigmoid(write) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(emit) * torch.tanh(cell), cell], dim=1)


CELLS: dict[Cell, type[RecurrentCell]] = {"gru": GRUCell, "lstm": LSTMCell, "rnn": TanhCell}
