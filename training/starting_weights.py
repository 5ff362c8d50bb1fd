"""Begins a training with the weights of a finished checkpoint, whatever its vocabulary.

For a model that is trained further on text of another field, for another direction of the same
languages, or with a tokenizer that was trained anew: everything but the tables of the vocabulary
fits as it is, and of those every row fits whose piece is in both vocabularies.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint import Checkpoint, load_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from training.config import ConfigError

INDIFFERENT = ("source_vocabulary_size", "target_vocabulary_size", "dropout")
"""Fields of `ModelConfig` in which the two networks may differ."""
SOURCE_TABLES = ("source_embedding.weight",)
TARGET_TABLES = ("target_embedding.weight", "output.weight", "output.bias")
"""Weights with one row for each piece."""


def start_from(folder: Path, model: Seq2Seq, source: Tokenizer, target: Tokenizer) -> str:
    """Fill `model`, whose vocabularies are the given ones, from the checkpoint in `folder`.

    A piece that is new gets the mean row of the pieces that the old tokenizer spells it with.
    Returns the name and the digest of the checkpoint. Raises what `starting_checkpoint` does.
    """
    checkpoint = starting_checkpoint(folder, model.config)
    weights = dict(checkpoint.model.named_parameters())
    source_rows, target_rows = _matcher(checkpoint, source, target)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            weight: Tensor = weights[name]
            if name in SOURCE_TABLES:
                weight = source_rows(weight)
            elif name in TARGET_TABLES:
                weight = target_rows(weight)
            parameter.copy_(weight)
    return f"{checkpoint.manifest.name} {checkpoint.digest[:12]}"


def starting_checkpoint(folder: Path, config: ModelConfig) -> Checkpoint:
    """The checkpoint in `folder`, if a network of this configuration can begin with its weights.

    Raises CheckpointError if it cannot be read and ConfigError if its network is of another shape.
    """
    checkpoint = load_checkpoint(folder)
    _check_shapes(checkpoint.manifest.config, config, folder)
    return checkpoint


def _check_shapes(before: ModelConfig, after: ModelConfig, folder: Path) -> None:
    old, new = asdict(before), asdict(after)
    changes = [
        f"{name} is {new[name]!r}, there {old[name]!r}"
        for name in old
        if name not in INDIFFERENT and old[name] != new[name]
    ]
    if changes:
        raise ConfigError(
            f"training.start_from: the network of {folder} is another one: {'; '.join(changes)}; "
            "set these in [model] as they are there"
        )


def _matcher(
    checkpoint: Checkpoint, source: Tokenizer, target: Tokenizer
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    return (
        _rows(checkpoint.source_tokenizer, source),
        _rows(checkpoint.target_tokenizer, target),
    )


def _rows(before: Tokenizer, after: Tokenizer) -> Callable[[Tensor], Tensor]:
    """What turns a table over the pieces of `before` into one over those of `after`."""
    old = {piece: number for number, piece in enumerate(before.pieces(range(before.size)))}
    spelt = [
        [old[piece]] if piece in old else before.encode(piece.replace("▁", " ")) or [before.unk_id]
        for piece in after.pieces(range(after.size))
    ]

    def moved(table: Tensor) -> Tensor:
        return torch.stack([table[ids].mean(dim=0) for ids in spelt])

    return moved
