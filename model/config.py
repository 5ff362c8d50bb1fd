"""What fixes the shapes of the network, and nothing else (learning rates live in the trainer)."""

from dataclasses import dataclass, fields
from typing import Any, Literal

Cell = Literal["gru", "lstm", "rnn"]
Attention = Literal["additive", "none"]
AttentionQuery = Literal["conditional", "previous"]

CHOICES: dict[str, tuple[str, ...]] = {
    "cell": ("gru", "lstm", "rnn"),
    "attention": ("additive", "none"),
    "attention_query": ("conditional", "previous"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The shapes and choices of one `Seq2Seq`; raises ValueError naming the field that is wrong."""

    source_vocabulary_size: int
    """Number of source pieces, special tokens included (V of the source side)."""
    target_vocabulary_size: int
    """Number of target pieces, special tokens included (V)."""
    embedding_size: int = 256
    """Width of an embedding (D), also of the readout before the output layer."""
    encoder_units: int = 512
    """Hidden units of each direction of the encoder; an annotation is twice as wide (E)."""
    decoder_units: int = 512
    """Hidden units of the decoder (H)."""
    attention_units: int = 512
    """Hidden units of the alignment model (A)."""
    cell: Cell = "gru"
    """Recurrent cell of encoder and decoder: `gru`, `lstm` or `rnn` (tanh)."""
    attention: Attention = "additive"
    """`additive` (Bahdanau et al. 2015) or `none`: one fixed vector for the whole sentence."""
    attention_query: AttentionQuery = "conditional"
    """`previous`: energies from s_{i-1} (the paper); `conditional`: from s'_i, past y_{i-1}."""
    share_embeddings: bool = True
    """One embedding table for both sides; needs one joint vocabulary."""
    tie_output: bool = True
    """The output layer uses the target embeddings as its weights."""
    dropout: float = 0.2
    """Share of units dropped in embeddings, annotations and readout while training."""
    pad_id: int = 0
    """Id of padding, equal on both sides."""
    unk_id: int = 1
    """Id of the unknown token; with byte fallback it never occurs."""
    bos_id: int = 2
    """Id that starts the decoder's input."""
    eos_id: int = 3
    """Id that ends every source and every target."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_size", "_units")) and value < 1:
                raise ValueError(f"{field.name} is {value}; it must be at least 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; it must be in [0, 1)")
        if self.share_embeddings and self.source_vocabulary_size != self.target_vocabulary_size:
            raise ValueError(
                "share_embeddings needs one joint vocabulary; source_vocabulary_size is "
                f"{self.source_vocabulary_size}, "
                f"target_vocabulary_size {self.target_vocabulary_size}"
            )
        special_ids = (self.pad_id, self.unk_id, self.bos_id, self.eos_id)
        smallest = min(self.source_vocabulary_size, self.target_vocabulary_size)
        if len(set(special_ids)) != 4 or min(special_ids) < 0 or max(special_ids) >= smallest:
            raise ValueError(
                f"pad_id, unk_id, bos_id, eos_id are {special_ids}; "
                f"they must differ and lie below {smallest}"
            )

    @property
    def annotation_size(self) -> int:
        """Width of an annotation (E): forward and backward state side by side."""
        return 2 * self.encoder_units

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Build from the mapping of a manifest; ValueError names the field that is wrong."""
        kinds = {field.name: type(getattr(EXAMPLE, field.name)) for field in fields(cls)}
        unknown = sorted(values.keys() - kinds.keys())
        missing = sorted({"source_vocabulary_size", "target_vocabulary_size"} - values.keys())
        if unknown or missing:
            raise ValueError(
                f"unknown fields: {unknown or 'none'}; missing fields: {missing or 'none'}"
            )
        for name, value in values.items():
            allowed = CHOICES.get(name)
            if allowed and value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
            if type(value) is not kinds[name]:
                raise ValueError(f"{name} is {value!r}; it must be of type {kinds[name].__name__}")
        return cls(**values)


EXAMPLE = ModelConfig(source_vocabulary_size=8000, target_vocabulary_size=8000)
"""The reference sizes; also tells `from_dict` the type of every field."""
