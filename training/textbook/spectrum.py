"""Singular values of the recurrent matrices: by how much one step can stretch or shrink."""

from dataclasses import dataclass

import torch

from model.cell import RecurrentCell
from model.config import Cell

GATES: dict[Cell, tuple[str, ...]] = {
    "rnn": ("h",),
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}
"""Names of the gates in the order in which `model/cell.py` stacks them."""

ROUNDING = 1e-4
"""By which float32 misses the ones of an orthogonal matrix, generously."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The singular values of the matrix that one gate applies to the state."""

    gate: str
    values: list[float]
    """The largest first."""

    @property
    def above_one(self) -> float:
        """Share of the values that are greater than one by more than rounding."""
        return sum(value > 1 + ROUNDING for value in self.values) / len(self.values)


@torch.no_grad()
def spectra(kind: Cell, cell: RecurrentCell) -> list[Spectrum]:
    """One spectrum for each gate of a cell."""
    matrices = cell.recurrent.weight.float().chunk(cell.gate_count)
    return [
        Spectrum(gate, torch.linalg.svdvals(matrix).tolist())
        for gate, matrix in zip(GATES[kind], matrices, strict=True)
    ]


@torch.no_grad()
def scale_recurrence(module: torch.nn.Module, scale: float) -> None:
    """Multiply every recurrent matrix in a network, and with it all its singular values."""
    for part in module.modules():
        if isinstance(part, RecurrentCell):
            part.recurrent.weight.mul_(scale)
