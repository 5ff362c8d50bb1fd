"""The encoder of the fast network: table look-ups and one packed product a step and direction."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.encoder import Encoder, reversal
from model.fast_cell import fast_cell
from model.packed import Affine


class FastEncoder:
    """The function of `Encoder`, from ids. Both directions advance in one loop."""

    def __init__(
        self, encoder: Encoder, embeddings: Float[Tensor, "V D"], dtype: torch.dtype
    ) -> None:
        cells = (encoder.forward_cell, encoder.backward_cell)
        self._dtype = dtype
        self._cell = fast_cell(encoder.forward_cell)
        """The equations of either direction, which take no weights."""
        self._tokens = embeddings.shape[0]
        scale = self._cell.scale
        self._gates = torch.cat([(cell.project(embeddings) * scale).to(dtype) for cell in cells])
        """W x + b of every token, once and for all: ahead, and behind that back (2V, G)."""
        self._recurrent = [Affine.of(cell.recurrent).scaled(scale).packed(dtype) for cell in cells]

    def __call__(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, "B S E"]:
        """Annotations of every position; those of padding mean nothing."""
        mirrored = reversal(lengths, source.shape[1])
        ahead, back = self._run(torch.cat([source, source.gather(1, mirrored) + self._tokens]))
        back = back.gather(1, mirrored[:, :, None].expand_as(back))
        return torch.cat([ahead, back], dim=-1)

    def _run(
        self, ids: Int[Tensor, "N S"]
    ) -> tuple[Float[Tensor, "B S H"], Float[Tensor, "B S H"]]:
        """The outputs of either direction, from the ids that each reads, one above the other."""
        rows, positions = ids.shape
        gates = self._gates.index_select(0, ids.T.flatten()).float().view(positions, rows, -1)
        state = gates.new_zeros(rows, self._cell.state_size)
        hidden = state.new_empty(rows, self._cell.units, dtype=self._dtype)
        products = torch.empty_like(gates[0])
        directions = list(
            zip(self._recurrent, hidden.tensor_split(2), products.tensor_split(2), strict=True)
        )
        outputs = []
        for projected in gates.unbind():
            hidden.copy_(self._cell.output(state))
            for recurrent, its, product in directions:
                product.copy_(recurrent(its))  # to float32 and side by side in one pass
            state = self._cell.combine(projected, products, state)
            outputs.append(self._cell.output(state))
        ahead, back = torch.stack(outputs, dim=1).tensor_split(2)
        return ahead, back
