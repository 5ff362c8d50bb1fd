"""The encoder of the fast network: table look-ups and one packed product a step and direction."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.encoder import Encoder, reversal
from model.fast_cell import fast_cell
from model.packed import Affine

FEW_ROWS = 4
"""Up to so many rows a product takes the time of reading its weights and of one call."""


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
        recurrent = [Affine.of(cell.recurrent).scaled(scale) for cell in cells]
        self._recurrent = [one.packed(dtype) for one in recurrent]
        self._both = Affine.joined(*recurrent).packed(dtype)
        """Both directions' recurrences as one product, of which each row needs one half."""

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
        multiply = self._multiply_few if rows <= FEW_ROWS else self._multiply
        outputs = []
        for projected in gates.unbind():
            hidden.copy_(self._cell.output(state))
            multiply(hidden, products)
            state = self._cell.combine(projected, products, state)
            outputs.append(self._cell.output(state))
        ahead, back = torch.stack(outputs, dim=1).tensor_split(2)
        return ahead, back

    def _multiply(self, hidden: Float[Tensor, "N H"], products: Float[Tensor, "N G"]) -> None:
        """Write U h + b of both directions into `products`, in float32."""
        for recurrent, its, product in zip(
            self._recurrent, hidden.tensor_split(2), products.tensor_split(2), strict=True
        ):
            product.copy_(recurrent(its))

    def _multiply_few(self, hidden: Float[Tensor, "N H"], products: Float[Tensor, "N G"]) -> None:
        """The same for few rows, bit by bit: two calls cost more than twice the products."""
        both = self._both(hidden)
        half, gates = hidden.shape[0] // 2, products.shape[1]
        products[:half].copy_(both[:half, :gates])
        products[half:].copy_(both[half:, gates:])
