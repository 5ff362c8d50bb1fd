"""The alignment head as it is served: the function of `AlignmentHead`, one hypothesis at a time.

It needs what decoding leaves behind anyway, the state of every step, so that a whole hypothesis is
a handful of products with all its tokens side by side, and no step is made a second time. A
refinement is small, and stays in float32.
"""

import math
from copy import deepcopy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.alignment_head import SMALLEST_WEIGHT, AlignmentHead
from model.packed import PackedLinear, serving_dtype
from model.seq2seq import Seq2Seq


class FastAlignmentHead:
    """A head with what it needs of its translator; later changes of either do not reach it.

    `dtype` is the precision of the products; by default bfloat16 where the processor has it.
    """

    @torch.inference_mode()
    def __init__(
        self, model: Seq2Seq, head: AlignmentHead, dtype: torch.dtype | None = None
    ) -> None:
        decoder, scale = model.decoder, model.config.embedding_size**0.5
        self._dtype = dtype or serving_dtype(model.output.weight.device)
        self._source_embeddings = model.source_embedding.weight.detach() * scale
        self._target_embeddings = model.target_embedding.weight.detach() * scale
        self._units = head.units
        self._attention_weight = float(head.attention_weight)
        self._keys = self._packed(
            torch.cat([head.annotation.weight, head.source_token.weight], dim=1),
            head.annotation.bias,
        )
        self._cell = decoder.cell
        self._reads = decoder.context_cell is not None
        readers = [head.token.weight, head.next_token.weight]
        biases = [head.token.weight.new_zeros(2 * head.units)]
        if self._reads:
            readers.append(decoder.cell.input.weight)
            biases.append(decoder.cell.input.bias)
        self._token_readers = self._packed(torch.cat(readers), torch.cat(biases))
        self._recurrent = self._linear(decoder.cell.recurrent)
        self._state = self._linear(head.state)
        self._refinement = deepcopy(head.refinement)

    def _packed(self, weight: Tensor, bias: Tensor) -> PackedLinear:
        return PackedLinear(weight, bias, self._dtype)

    def _linear(self, layer: nn.Linear) -> PackedLinear:
        return self._packed(layer.weight, layer.bias)

    @torch.inference_mode()
    def keys(
        self, annotations: Float[Tensor, "*S E"], source: Int[Tensor, "*S"]
    ) -> Float[Tensor, "*S A"]:
        """k_j of source positions, once a sentence."""
        read = torch.cat([annotations.float(), self._source_embeddings[source]], dim=-1)
        keys = self._keys(read.flatten(0, -2)).float() / math.sqrt(self._units)
        return keys.view(*source.shape, self._units)

    @torch.inference_mode()
    def weights(
        self,
        states: Float[Tensor, "T Z"],
        tokens: Int[Tensor, " T"],
        keys: Float[Tensor, "S A"],
        attention: Float[Tensor, "T S"],
        *,
        is_whole: bool,
    ) -> Float[Tensor, "T S"]:
        """The weights of one hypothesis: of its tokens y_i, and s_i and α_i of the same steps.

        A refinement looks at whole targets: unless it `is_whole` there is none.
        """
        products = self._token_readers(self._target_embeddings[tokens]).float()
        token, following, gates = products.tensor_split([self._units, 2 * self._units], dim=1)
        if self._reads:
            recurrent = self._recurrent(self._cell.output(states)).float()
            states = self._cell.combine(gates, recurrent, states)
        queries = self._state(self._cell.output(states)).float() + token
        queries[:-1] += following[1:]
        log_attention = (attention + SMALLEST_WEIGHT).log()
        energies = queries @ keys.T + self._attention_weight * log_attention
        if self._refinement is not None and is_whole:
            everywhere = torch.ones_like(energies, dtype=torch.bool)
            [energies] = self._refinement(energies[None], log_attention[None], everywhere[None])
        return torch.softmax(energies, dim=1)
