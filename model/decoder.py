"""The decoder: one target token at a time, each from the state, the last token and the context."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model.attention import AdditiveAttention, FixedVector, Memory
from model.cell import CELLS
from model.config import ModelConfig

ExactLogits = Callable[[Int[np.ndarray, "R C"]], Float[np.ndarray, "R C"]]
"""Takes C tokens of each of R rows, gives their logits in float32; on the host, as ranking is."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one free-running step gives for R hypotheses."""

    logits: Float[Tensor, "R V"]
    state: Float[Tensor, "R Z"]
    weights: Float[Tensor, "R W"]
    exact: ExactLogits | None = None
    """Where `logits` are rounded: those of a few tokens of each row, unrounded."""


@dataclass(frozen=True, slots=True)
class Forced:
    """What teacher forcing gives for T target positions of B sentences."""

    logits: Float[Tensor, "B T V"]
    weights: Float[Tensor, "B T W"]


class Decoder(nn.Module):
    """Recurrent decoder with attention (Bahdanau et al. 2015, section 3.1 and A.2.2).

    `attention_query="previous"` is the paper's: α_i from s_{i-1}, then s_i = f(s_{i-1}, y_{i-1},
    c_i). `"conditional"` is the conditional GRU of dl4mt and Nematus (Sennrich et al. 2017, section
    3): s'_i = f_1(s_{i-1}, y_{i-1}), α_i from s'_i, s_i = f_2(s'_i, c_i), so that the query has
    read the last token. The readout is a plain tanh layer where the paper has maxout.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        units, annotation_size = config.decoder_units, config.annotation_size
        cell = CELLS[config.cell]
        self.conditional = config.attention_query == "conditional"
        self.attends = config.attention == "additive"
        self.attention: AdditiveAttention | FixedVector = (
            AdditiveAttention(units, annotation_size, config.attention_units)
            if self.attends
            else FixedVector()
        )
        self.cell = cell(config.embedding_size, units)
        self.context_cell = cell(annotation_size, units) if self.conditional else None
        self.context_gates = (
            None if self.conditional else nn.Linear(annotation_size, self.cell.gates_size)
        )
        self.bridge = nn.Linear(config.encoder_units, self.cell.state_size)
        self.readout_state = nn.Linear(units, config.embedding_size)
        self.readout_input = nn.Linear(config.embedding_size, config.embedding_size, bias=False)
        self.readout_context = nn.Linear(annotation_size, config.embedding_size, bias=False)
        self.output_dropout = nn.Dropout(config.dropout)

    def remember(self, annotations: Float[Tensor, "B S E"], mask: Bool[Tensor, "B S"]) -> Memory:
        """What every step will need of the annotations."""
        project = self.context_cell.project if self.context_cell else self.context_gates
        assert project is not None
        return Memory(annotations, self.attention.keys(annotations), project(annotations), mask)

    def initial_state(self, backward_first: Float[Tensor, "B U"]) -> Float[Tensor, "B Z"]:
        """s_0 = tanh(W_s ←h_1), from the backward state that has read the whole sentence."""
        return torch.tanh(self.bridge(backward_first)).float()

    def advance(
        self, gates: Float[Tensor, "R G"], state: Float[Tensor, "R Z"], memory: Memory
    ) -> tuple[Float[Tensor, "R Z"], Float[Tensor, "R S"]]:
        """s_i and α_i from the projected last token and s_{i-1}."""
        if self.context_cell is not None:
            state = self.cell(gates, state)
        query = self.cell.output(state)
        weights: Tensor = self.attention(query, memory.keys, memory.mask)
        context = torch.bmm(weights[:, None, :].to(memory.values.dtype), memory.values)[:, 0]
        if self.context_cell is not None:
            return self.context_cell(context, state), weights
        return self.cell(gates + context, state), weights

    def readout(
        self,
        outputs: Float[Tensor, "*R H"],
        embedded: Float[Tensor, "*R D"],
        context: Float[Tensor, "*R E"],
    ) -> Float[Tensor, "*R D"]:
        """t_i, the deep output (Pascanu et al. 2014) before the output layer."""
        hidden = torch.tanh(
            self.readout_state(outputs)
            + self.readout_input(embedded)
            + self.readout_context(context)
        )
        dropped: Tensor = self.output_dropout(hidden)
        return dropped

    def after_reading(
        self, embedded: Float[Tensor, "R D"], state: Float[Tensor, "R Z"]
    ) -> Float[Tensor, "R H"]:
        """What the next step would know first of token y_i: s'_{i+1} = f_1(s_i, y_i).

        With the `"previous"` query a step begins with its context, so it is s_i, without y_i.
        """
        if self.context_cell is not None:
            state = self.cell(self.cell.project(embedded), state)
        return self.cell.output(state)

    def visible(self, weights: Float[Tensor, "*R S"]) -> Float[Tensor, "*R W"]:
        """The weights that mean something: none where one fixed vector stands for the source."""
        return weights if self.attends else weights[..., :0]

    def step(
        self, embedded: Float[Tensor, "R D"], state: Float[Tensor, "R Z"], memory: Memory
    ) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R Z"], Float[Tensor, "R W"]]:
        """One free-running step: readout t_i, state s_i and weights α_i."""
        state, weights = self.advance(self.cell.project(embedded), state, memory)
        context = torch.bmm(weights[:, None, :], memory.annotations)[:, 0]
        readout = self.readout(self.cell.output(state), embedded, context)
        return readout, state, self.visible(weights)

    def forward(
        self, embedded: Float[Tensor, "B T D"], state: Float[Tensor, "B Z"], memory: Memory
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T W"]]:
        """Teacher forcing: all readouts and weights, given the true tokens.

        Only `advance` depends on the step before; everything else is computed for all T
        positions at once, before or after the loop.
        """
        outputs, rows = [], []
        for gates in self.cell.project(embedded).unbind(dim=1):
            state, weights = self.advance(gates, state, memory)
            outputs.append(self.cell.output(state))
            rows.append(weights)
        all_weights = torch.stack(rows, dim=1)
        contexts = torch.bmm(all_weights.to(memory.annotations.dtype), memory.annotations)
        readouts = self.readout(torch.stack(outputs, dim=1), embedded, contexts)
        return readouts, self.visible(all_weights)
