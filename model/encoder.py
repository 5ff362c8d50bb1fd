"""The bidirectional encoder: every source position with what stands before and after it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.batch import length_mask
from model.cell import CELLS, RecurrentCell
from model.config import ModelConfig


class Encoder(nn.Module):
    """Annotations h_j = [→h_j; ←h_j] (Bahdanau et al. 2015, section 3.2).

    The backward direction reads each sentence reversed within its own length, so padding stands
    behind the sentence in both directions and never enters a state that is used: the same function
    as running over packed sequences, without their ragged steps.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        cell = CELLS[config.cell]
        self.forward_cell = cell(config.embedding_size, config.encoder_units)
        self.backward_cell = cell(config.embedding_size, config.encoder_units)

    def forward(
        self, embedded: Float[Tensor, "B S D"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, "B S E"]:
        """Annotations of every position, zero on padding."""
        longest = embedded.shape[1]
        mirrored = reversal(lengths, longest)
        ahead = run(self.forward_cell, embedded)
        back = run(self.backward_cell, reorder(embedded, mirrored))
        annotations = torch.cat([ahead, reorder(back, mirrored)], dim=-1)
        return annotations * length_mask(lengths, longest)[:, :, None]


def run(cell: RecurrentCell, inputs: Float[Tensor, "B S D"]) -> Float[Tensor, "B S H"]:
    """The cell's outputs from a zero state over all positions, left to right."""
    projected = cell.project(inputs)
    state = torch.zeros(inputs.shape[0], cell.state_size, device=inputs.device)
    outputs = []
    for gates in projected.unbind(dim=1):
        state = cell(gates, state)
        outputs.append(cell.output(state))
    return torch.stack(outputs, dim=1)


def reversal(lengths: Int[Tensor, " B"], longest: int) -> Int[Tensor, "B S"]:
    """Positions that turn each sentence round within its length and leave its padding in place."""
    positions = torch.arange(longest, device=lengths.device)
    return torch.where(
        positions < lengths[:, None], lengths[:, None] - 1 - positions, positions[None]
    )


def reorder(
    sequence: Float[Tensor, "B S D"], positions: Int[Tensor, "B S"]
) -> Float[Tensor, "B S D"]:
    """Each sentence's vectors taken in the order of `positions`."""
    return sequence.gather(1, positions[:, :, None].expand_as(sequence))
