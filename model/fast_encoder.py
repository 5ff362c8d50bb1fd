"""The encoder of the fast network: table look-ups and one packed product a step and direction."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.encoder import Encoder, reversal
from model.packed import PackedLinear


class FastEncoder:
    """The function of `Encoder`, from ids. Both directions advance in one loop."""

    def __init__(
        self, encoder: Encoder, embeddings: Float[Tensor, "V D"], dtype: torch.dtype
    ) -> None:
        cells = (encoder.forward_cell, encoder.backward_cell)
        self._cell = encoder.forward_cell
        """Either cell, for the equations that take no weights."""
        self._gates = [cell.project(embeddings).to(dtype) for cell in cells]
        """W x + b of every token, once and for all (V, G) for each direction."""
        self._recurrent = [
            PackedLinear(cell.recurrent.weight, cell.recurrent.bias, dtype) for cell in cells
        ]

    def __call__(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, "B S E"]:
        """Annotations of every position; those of padding mean nothing."""
        mirrored = reversal(lengths, source.shape[1])
        ahead, back = self._run(source, source.gather(1, mirrored))
        back = back.gather(1, mirrored[:, :, None].expand_as(back))
        return torch.cat([ahead, back], dim=-1)

    def _run(
        self, ahead: Int[Tensor, "B S"], back: Int[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S H"], Float[Tensor, "B S H"]]:
        """The outputs of either direction, each in its own reading order."""
        count, positions = ahead.shape
        gates = torch.cat(
            [table[ids.T] for table, ids in zip(self._gates, (ahead, back), strict=True)], dim=1
        )
        state = torch.zeros(2 * count, self._cell.state_size, device=ahead.device)
        outputs = torch.empty(positions, 2 * count, self._cell.units, device=ahead.device)
        for position in range(positions):
            hidden = self._cell.output(state)
            recurrent = torch.cat(
                [self._recurrent[0](hidden[:count]), self._recurrent[1](hidden[count:])]
            )
            state = self._cell.combine(gates[position].float(), recurrent.float(), state)
            outputs[position] = self._cell.output(state)
        by_sentence = outputs.transpose(0, 1)
        return by_sentence[:count], by_sentence[count:]
