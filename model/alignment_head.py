"""An alignment head: which source tokens a target token stands for, judged once it is known.

Attention is weighed *before* its token is chosen, so on a text that is not the model's own it
cannot know better. The head looks back from the token instead. It reads a translator that stays as
it is, and so cannot change a translation.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from model.alignment_refinement import AlignmentRefinement
from model.batch import SentenceBatch, pad_sentences
from model.config import ModelConfig
from model.seq2seq import Seq2Seq

SMALLEST_WEIGHT = 1e-4
"""Added to attention weights before their logarithm is taken: no attention is no certainty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """The shape of a head and how it is read; raises ValueError naming the field that is wrong."""

    units: int
    """Width of queries and keys (A)."""
    threshold: float
    """Agreement from which on words are linked (`model.alignment.agreement`), chosen on pairs that
    were kept from training."""
    refinement_channels: int = 0
    """Channels of its refinement (`model/alignment_refinement.py`); 0 for a head without."""

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"units is {self.units}; it must be at least 1")
        if self.refinement_channels < 0:
            raise ValueError(
                f"refinement_channels is {self.refinement_channels}; it must be at least 0"
            )
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"threshold is {self.threshold}; it must be in (0, 1]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a translator's decoder went through while it was forced through given targets."""

    annotations: Float[Tensor, "B S E"]
    mask: Bool[Tensor, "B S"]
    """True where a source token stands."""
    states: Float[Tensor, "B T Z"]
    """s_i, the state after step i, which says y_i."""
    attention: Float[Tensor, "B T S"]
    """α_ij."""


class AlignmentHead(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1) of y_i over the source.

        query   q_i = W_q [s'_{i+1}; e(y_i); e(y_{i+1})]
        key     k_j = W_k [h_j; e(x_j)] / √A
        energy  e_ij = q_i · k_j + λ log(α_ij + 10⁻⁴)
        weights softmax over the source's positions, EOS among them

    s'_{i+1} is the decoder's state after its first cell has read y_i (`Decoder.after_reading`),
    h_j are the annotations, and α_ij is the decoder's own attention. y_{i+1}, which is zero behind
    the last token, shows whether a word goes on. Where there is a refinement, it sees the energies
    of the whole target before the softmax (`model/alignment_refinement.py`).

    A target token that stands for nothing in the source chooses the source's EOS, as aligners
    choose their empty word. Raises ValueError for a network without attention.
    """

    def __init__(self, config: ModelConfig, units: int, refinement_channels: int = 0) -> None:
        super().__init__()
        if config.attention == "none":
            raise ValueError(
                'attention is "none": one vector stands for the whole source, so there are no '
                "annotations among which an alignment head could choose"
            )
        self.units = units
        self.state = nn.Linear(config.decoder_units, units)
        self.token = nn.Linear(config.embedding_size, units, bias=False)
        self.next_token = nn.Linear(config.embedding_size, units, bias=False)
        self.annotation = nn.Linear(config.annotation_size, units)
        self.source_token = nn.Linear(config.embedding_size, units, bias=False)
        self.attention_weight = nn.Parameter(torch.tensor(0.1))
        self.refinement: AlignmentRefinement | None = None
        if refinement_channels:
            self.refine(refinement_channels)

    def refine(self, channels: int) -> AlignmentRefinement:
        """Give it a new refinement, which changes nothing until it has learned."""
        self.refinement = AlignmentRefinement(channels).to(self.attention_weight.device)
        return self.refinement

    def config(self, threshold: float) -> HeadConfig:
        """Its shape, with the agreement from which on it links."""
        channels = self.refinement.channels if self.refinement else 0
        return HeadConfig(units=self.units, threshold=threshold, refinement_channels=channels)

    def keys(
        self, annotations: Float[Tensor, "*S E"], embedded: Float[Tensor, "*S D"]
    ) -> Float[Tensor, "*S A"]:
        """k_j of source positions, from annotations and the embeddings of their tokens."""
        keys: Tensor = self.annotation(annotations) + self.source_token(embedded)
        return keys / math.sqrt(self.units)

    def queries(
        self, states: Float[Tensor, "B T H"], embedded: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B T A"]:
        """q_i of whole targets, from the states that have read each token and their embeddings."""
        following = self.next_token(embedded).roll(-1, dims=1)
        following[:, -1] = 0.0
        queries: Tensor = self.state(states) + self.token(embedded) + following
        return queries

    def forward(
        self,
        queries: Float[Tensor, "B T A"],
        keys: Float[Tensor, "B S A"],
        attention: Float[Tensor, "B T S"],
        sources: Bool[Tensor, "B S"],
        targets: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T S"]:
        """Weights, each row summing to one, zero where no source token stands."""
        log_attention = (attention.float() + SMALLEST_WEIGHT).log()
        energies = (queries @ keys.transpose(-2, -1)).float()
        energies = energies + self.attention_weight * log_attention
        if self.refinement is not None:
            cells = targets[:, :, None] & sources[:, None, :]
            with _exact_products(energies.device.type):
                energies = self.refinement(energies, log_attention, cells)
        return torch.softmax(energies.masked_fill(~sources[:, None, :], -torch.inf), dim=-1)


def _exact_products(device_type: str) -> AbstractContextManager[object]:
    """No autocast, on devices that have it: a refinement learns in float32, as it is served."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


@torch.no_grad()
def read_along(model: Seq2Seq, source: SentenceBatch, inputs: Int[Tensor, "B T"]) -> Reading:
    """Force the decoder through `inputs` (BOS first) and keep its states; no gradient is made."""
    memory, state = model.encode(source.ids, source.lengths)
    embedded = model.embed(model.target_embedding, inputs)
    states, weights = [], []
    for gates in model.decoder.cell.project(embedded).unbind(dim=1):
        state, row = model.decoder.advance(gates, state, memory)
        states.append(state)
        weights.append(row)
    return Reading(
        memory.annotations, memory.mask, torch.stack(states, dim=1), torch.stack(weights, dim=1)
    )


def head_weights(
    model: Seq2Seq,
    head: AlignmentHead,
    reading: Reading,
    source: Int[Tensor, "B S"],
    targets: Int[Tensor, "B T"],
    dropout: nn.Dropout | None = None,
) -> Float[Tensor, "B T S"]:
    """The head's weights for whole targets; behind a shorter target they mean nothing.

    While the head is trained, `dropout` blanks part of what it reads.
    """
    real = targets != model.config.pad_id
    with torch.no_grad():
        embedded = model.embed(model.target_embedding, targets)
        # Nothing follows the last token, in whatever company it stands.
        embedded = embedded.masked_fill(~real[..., None], 0.0)
        states = model.decoder.after_reading(
            embedded.flatten(0, 1), reading.states.flatten(0, 1)
        ).view(*targets.shape, -1)
        source_embedded = model.embed(model.source_embedding, source)
    annotations = reading.annotations.float()
    if dropout is not None:
        states, embedded, annotations, source_embedded = (
            dropout(part) for part in (states, embedded, annotations, source_embedded)
        )
    keys = head.keys(annotations, source_embedded)
    weights: Tensor = head(
        head.queries(states, embedded), keys, reading.attention, reading.mask, real
    )
    return weights


@torch.inference_mode()
def forced_head_weights(
    model: Seq2Seq, head: AlignmentHead, batch: SentenceBatch, targets: Sequence[Sequence[int]]
) -> list[Float[Tensor, "T S"]]:
    """The head's weights of given targets (EOS last), one for each source sentence, on the CPU."""
    padded = pad_sentences(targets, model.config.pad_id).to(batch.ids.device)
    inputs = padded.ids.roll(1, dims=1)
    inputs[:, 0] = model.config.bos_id
    weights = head_weights(model, head, read_along(model, batch, inputs), batch.ids, padded.ids)
    lengths = zip(padded.lengths.tolist(), batch.lengths.tolist(), strict=True)
    return [
        rows[:length, :positions].cpu()
        for rows, (length, positions) in zip(weights, lengths, strict=True)
    ]
