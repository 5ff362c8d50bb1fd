"""The whole network: source ids in, distributions over target pieces and alignments out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.attention import Memory
from model.batch import length_mask
from model.config import ModelConfig
from model.decoder import Decoder, Forced, Step
from model.encoder import Encoder
from model.spelling import Spelling


class Seq2Seq(nn.Module):
    """Bidirectional encoder and attention decoder of one `ModelConfig`.

    Written to be read; `encode` and `step` are all that the search sees.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.spelling: Spelling | None = None
        """That of the target tokenizer, set by whoever knows it; the search asks for it."""
        self.target_embedding = embedding(config.target_vocabulary_size, config)
        self.source_embedding = (
            self.target_embedding
            if config.share_embeddings
            else embedding(config.source_vocabulary_size, config)
        )
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.output = nn.Linear(config.embedding_size, config.target_vocabulary_size)
        nn.init.zeros_(self.output.bias)
        if config.tie_output:
            self.output.weight = self.target_embedding.weight
        self.dropout = nn.Dropout(config.dropout)

    def encode(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> tuple[Memory, Float[Tensor, "B Z"]]:
        """Read B sentences, each ended by EOS; gives their memory and the decoder's s_0."""
        embedded = self.embed(self.source_embedding, source)
        annotations = self.encoder(embedded, lengths)
        units = self.config.encoder_units
        state = self.decoder.initial_state(annotations[:, 0, units:])
        mask = length_mask(lengths, source.shape[1])
        if self.config.attention == "none":
            annotations = summary(annotations, lengths)
            mask = mask[:, :1]
        return self.decoder.remember(self.dropout(annotations), mask), state

    def step(self, inputs: Int[Tensor, " R"], state: Float[Tensor, "R Z"], memory: Memory) -> Step:
        """One free-running step of R hypotheses, given the last token of each."""
        embedded = self.embed(self.target_embedding, inputs)
        readout, state, weights = self.decoder.step(embedded, state, memory)
        return Step(self.output(readout), state, weights)

    def forward(
        self,
        source: Int[Tensor, "B S"],
        lengths: Int[Tensor, " B"],
        inputs: Int[Tensor, "B T"],
    ) -> Forced:
        """Teacher forcing: `inputs` are BOS and the target without its last token."""
        memory, state = self.encode(source, lengths)
        embedded = self.embed(self.target_embedding, inputs)
        readouts, weights = self.decoder(embedded, state, memory)
        return Forced(self.output(readouts), weights)

    def embed(self, table: nn.Embedding, ids: Int[Tensor, "*R"]) -> Float[Tensor, "*R D"]:
        """Embeddings at unit scale: the table itself is small, since the output layer shares it."""
        embedded: Tensor = self.dropout(table(ids) * self.config.embedding_size**0.5)
        return embedded


def embedding(vocabulary_size: int, config: ModelConfig) -> nn.Embedding:
    """A table of standard deviation D^-1/2, so that tied logits start near unit scale."""
    table = nn.Embedding(vocabulary_size, config.embedding_size)
    nn.init.normal_(table.weight, std=config.embedding_size**-0.5)
    return table


def summary(
    annotations: Float[Tensor, "B S E"], lengths: Int[Tensor, " B"]
) -> Float[Tensor, "B 1 E"]:
    """The sentence as one vector: the last state of either direction, [→h_S; ←h_1]."""
    rows = torch.arange(annotations.shape[0], device=annotations.device)
    ahead, back = annotations.chunk(2, dim=-1)
    return torch.cat([ahead[rows, lengths - 1], back[:, 0]], dim=-1)[:, None, :]
