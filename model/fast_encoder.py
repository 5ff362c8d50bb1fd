"""The encoder of the fast network: table look-ups and one packed product a step and direction.

A step costs 80 µs whatever it does, and 30 more for each sentence (two directions, a core of an
EPYC 9005). So sentences of all lengths are read in one loop, which those that end leave.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.encoder import Encoder
from model.fast_cell import fast_cell
from model.packed import Affine
from model.ragged import Ragged

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

    def __call__(self, source: Int[Tensor, "B S"], layout: Ragged) -> Float[Tensor, "N E"]:
        """Annotations of every token, sentence after sentence without padding."""
        mask = np.arange(source.shape[1]) < layout.lengths[:, None]
        tokens = source.numpy(force=True)[mask]
        inputs = torch.from_numpy(layout.inputs(tokens, tokens + self._tokens))
        outputs = self._run(inputs.to(source.device), layout)
        pairs = torch.from_numpy(np.stack([layout.ahead, layout.back], axis=1).ravel())
        return outputs.index_select(0, pairs.to(source.device)).view(tokens.shape[0], -1)

    def _run(self, inputs: Int[Tensor, " M"], layout: Ragged) -> Float[Tensor, "M H"]:
        """The outputs of the rows of all steps."""
        gates = self._gates.index_select(0, inputs).float()
        steps = torch.split(gates, (2 * layout.counts).tolist())
        state = gates.new_zeros(steps[0].shape[0], self._cell.state_size)
        hidden = state.new_empty(state.shape[0], self._cell.units, dtype=self._dtype)
        products = torch.empty_like(steps[0])
        outputs = []
        for projected in steps:
            rows = projected.shape[0]
            if rows < state.shape[0]:
                state = torch.cat([half[: rows // 2] for half in state.tensor_split(2)])
                hidden, products = hidden[:rows], products[:rows]
            hidden.copy_(self._cell.output(state))
            multiply = self._multiply_few if rows <= FEW_ROWS else self._multiply
            multiply(hidden, products)
            state = self._cell.combine(projected, products, state)
            outputs.append(self._cell.output(state))
        return torch.cat(outputs)

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
        shape = (2, half, gates)
        # The first half's columns of the first rows, the second half's of the others.
        own = both.as_strided(shape, ((2 * half + 1) * gates, 2 * gates, 1))
        products.view(shape).copy_(own)
