"""The network as it is served: the reference's function and weights, arranged for speed.

What differs from `Seq2Seq`, and why the result does not (`docs/performance.md` has the figures):

- products of embeddings with the matrices that read them are tables, computed when the model loads;
- the context is never multiplied: annotations are, once a sentence (`model/fast_attention.py`);
- a tanh is a sigmoid of twice as much, and what is doubled are the weights (`model/fast_cell.py`);
- matrices that read the same vector are one matrix: the conditional query W_a with the second
  cell's recurrence, the paper's query with the only cell's;
- weights are packed for the processor, in bfloat16 where it has that (`model/packed.py`); the
  logits of the best tokens are made again in float32.

The cells' own equations are computed in float32.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.alignment_head import AlignmentHead
from model.attention import AdditiveAttention
from model.decoder import Decoder, Step
from model.fast_alignment_head import FastAlignmentHead
from model.fast_attention import EXPONENT_SCALE, FastAttention, exponentiated
from model.fast_cell import fast_cell, tanh_of_half
from model.fast_encoder import FastEncoder
from model.fast_memory import FastMemory
from model.packed import Affine, serving_dtype
from model.ragged import Ragged
from model.seq2seq import Seq2Seq


class FastSeq2Seq:
    """A `StepModel` that computes what `model` computes; later changes of `model` do not reach it.

    `dtype` is the precision of the products; by default bfloat16 where the processor has it. With
    an alignment `head`, sentences can be admitted to a search with head weights.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: Seq2Seq,
        dtype: torch.dtype | None = None,
        head: AlignmentHead | None = None,
    ) -> None:
        decoder, config = model.decoder, model.config
        self.config, self.spelling = config, model.spelling
        self._device = model.output.weight.device
        self.dtype = dtype or serving_dtype(self._device)
        self.head = None if head is None else FastAlignmentHead(model, head, self.dtype)
        scale = config.embedding_size**0.5
        source_embeddings = model.source_embedding.weight * scale
        target_embeddings = model.target_embedding.weight * scale
        self._encoder = FastEncoder(model.encoder, source_embeddings, self.dtype)
        self._bridge = Affine.of(decoder.bridge).packed(self.dtype)
        self._cell = fast_cell(decoder.cell)
        self._conditional = decoder.conditional
        self._gates_size = decoder.cell.gates_size
        self._query_size = config.attention_units if config.attention == "additive" else 0
        scale = self._cell.scale
        self._tokens = torch.cat(
            [
                decoder.cell.project(target_embeddings) * scale,
                decoder.readout_input(target_embeddings) * READOUT_SCALE,
            ],
            dim=1,
        )
        """Gates and readout share of every last token, side by side (V, G + D)."""
        self._attention = (
            FastAttention(decoder.attention.energy.weight)
            if isinstance(decoder.attention, AdditiveAttention)
            else None
        )
        self._memory = memory_readers(decoder, scale).packed(self.dtype)
        self._recurrent = Affine.of(decoder.cell.recurrent).scaled(scale).packed(self.dtype)
        self._queries = query_readers(decoder, scale).packed(self.dtype)
        self._readout = Affine.of(decoder.readout_state).scaled(READOUT_SCALE).packed(self.dtype)
        self._output = Affine.of(model.output).packed(self.dtype)
        self._exact_weight = model.output.weight.numpy(force=True).copy()
        self._exact_bias = model.output.bias.numpy(force=True).copy()

    @torch.inference_mode()
    def encode(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> tuple[FastMemory, Float[Tensor, "B Z"]]:
        """Read B sentences, each ended by EOS; gives their memory and the decoder's s_0.

        Ids may be on any device; what comes back is where the weights are.
        """
        source = source.to(self._device)
        layout = Ragged.of(lengths.numpy(force=True))
        annotations = self._encoder(source, layout)
        ahead, back = annotations.tensor_split(2, dim=1)
        first = back.index_select(0, torch.from_numpy(layout.starts).to(source.device))
        state = torch.tanh(self._bridge(first).float())
        if self._attention is None:
            ends = torch.from_numpy(layout.ends).to(source.device)
            read = torch.cat([ahead.index_select(0, ends), first], dim=1)
            counts = np.ones_like(layout.lengths)
        else:
            read, counts = annotations, layout.lengths
        keys, values = self._memory(read).tensor_split([self._query_size], dim=1)
        memory = FastMemory.of(exponentiated(keys), values.float(), counts)
        if self.head is not None:
            memory = replace(memory, annotations=torch.split(annotations, layout.lengths.tolist()))
        return memory, state

    @torch.inference_mode()
    def step(
        self, inputs: Int[Tensor, " R"], state: Float[Tensor, "R Z"], memory: FastMemory
    ) -> Step:
        """One free-running step of R rows, given the last token of each."""
        cell = self._cell
        gates, embedded = self._tokens.index_select(0, inputs).tensor_split(
            (self._gates_size,), dim=1
        )
        if self._conditional:
            state = cell.combine(gates, self._recurrent(cell.output(state)).float(), state)
        products = self._queries(cell.output(state)).float()
        query, recurrent = products.tensor_split((self._query_size,), dim=1)
        weights, context = self._attend(query, memory)
        context_gates, context_readout = context.tensor_split((self._gates_size,), dim=1)
        projected = context_gates if self._conditional else gates + context_gates
        state = cell.combine(projected, recurrent, state)
        readout = self._readout(cell.output(state)).float() + embedded
        hidden = tanh_of_half(readout.add_(context_readout))
        exact = None if self.dtype == torch.float32 else partial(self._exact_logits, hidden)
        return Step(self._output(hidden), state, weights, exact)

    def _exact_logits(
        self, hidden: Float[Tensor, "R D"], tokens: Int[np.ndarray, "R C"]
    ) -> Float[np.ndarray, "R C"]:
        """The output layer for a few tokens, in float32, each row by itself.

        The packed product rounds its results as its factors, and bfloat16 has steps of 1/16 at the
        usual size of the best logits: enough to put the second best first.
        """
        rows = self._exact_weight.take(tokens, axis=0)
        logits: Float[np.ndarray, "R C"] = np.vecdot(rows, hidden.numpy(force=True)[:, None])
        logits += self._exact_bias.take(tokens)
        return logits

    def _attend(
        self, query: Float[Tensor, "R A"], memory: FastMemory
    ) -> tuple[Float[Tensor, "R W"], Float[Tensor, "R C"]]:
        if self._attention is None:
            return query.new_zeros(query.shape[0], 0), memory.fixed_contexts()
        return self._attention(query, memory)


READOUT_SCALE = 2.0
"""The readout is a tanh, made as `tanh_of_half`."""


def memory_readers(decoder: Decoder, scale: Float[Tensor, " G"]) -> Affine:
    """What reads annotations: keys, then gates and readout, which read the context."""
    gates = decoder.context_cell.input if decoder.context_cell else decoder.context_gates
    assert gates is not None
    readers = [
        Affine.of(gates).scaled(scale),
        Affine.of(decoder.readout_context).scaled(READOUT_SCALE),
    ]
    if isinstance(decoder.attention, AdditiveAttention):
        readers.insert(0, Affine.of(decoder.attention.key).scaled(EXPONENT_SCALE))
    return Affine.joined(*readers)


def query_readers(decoder: Decoder, scale: Float[Tensor, " G"]) -> Affine:
    """What reads the state that queries: the query, and the recurrence that follows."""
    cell = decoder.context_cell or decoder.cell
    recurrent = Affine.of(cell.recurrent).scaled(scale)
    if isinstance(decoder.attention, AdditiveAttention):
        query = Affine.of(decoder.attention.query).scaled(EXPONENT_SCALE)
        return Affine.joined(query, recurrent)
    return recurrent
