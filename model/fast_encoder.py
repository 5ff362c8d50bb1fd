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
        self._tokens = embeddings.shape[0]
        self._gates = torch.cat([cell.project(embeddings).to(dtype) for cell in cells])
        """W x + b of every token, once and for all: ahead, and behind that back (2V, G)."""
        self._recurrent = [
            PackedLinear(cell.recurrent.weight, cell.recurrent.bias, dtype) for cell in cells
        ]

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
        rows = ids.shape[0]
        state = torch.zeros(rows, self._cell.state_size, device=ids.device)
        products = state.new_empty(rows, self._cell.gates_size)
        outputs = []
        for tokens in ids.T.contiguous():
            hidden = self._cell.output(state)
            for recurrent, its, product in zip(
                self._recurrent, hidden.tensor_split(2), products.tensor_split(2), strict=True
            ):
                product.copy_(recurrent(its))  # to float32 and side by side in one pass
            gates = self._gates.index_select(0, tokens).float()
            state = self._cell.combine(gates, products, state)
            outputs.append(self._cell.output(state))
        ahead, back = torch.stack(outputs, dim=1).tensor_split(2)
        return ahead, back
