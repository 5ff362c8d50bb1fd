"""Takes the tokenizers of a finished checkpoint in place of training new ones.

For a run that goes on from a checkpoint with other sentences, so that no piece changes its number,
and for the opposite direction, whose pieces must be the same if both are to align together.
"""

from pathlib import Path

from model.checkpoint import load_checkpoint
from model.tokenizer import Tokenizer
from training.config import BOS_ID, EOS_ID, PAD_ID, UNK_ID, ConfigError, TrainingConfig


def taken_tokenizers(folder: Path, config: TrainingConfig) -> tuple[bytes, bytes]:
    """The serialised tokenizers of source and target of the checkpoint in `folder`.

    Of a checkpoint of the opposite direction they are swapped. Raises CheckpointError if it cannot
    be read, and ConfigError, naming the setting, where they are not what `config` describes.
    """
    checkpoint = load_checkpoint(folder)
    source, target = checkpoint.source_tokenizer, checkpoint.target_tokenizer
    manifest, data = checkpoint.manifest, config.data
    if (data.source_language, data.target_language) == (
        manifest.target_language,
        manifest.source_language,
    ):
        source, target = target, source
    for tokenizer in (source, target):
        _check(tokenizer, folder, config)
    if config.tokenizer.joint and source.serialized != target.serialized:
        raise ConfigError(
            f"tokenizer.take_from: {folder} has a tokenizer for each side; set tokenizer.joint and "
            "model.share_embeddings to false"
        )
    return source.serialized, target.serialized


def _check(tokenizer: Tokenizer, folder: Path, config: TrainingConfig) -> None:
    if tokenizer.size != config.tokenizer.vocabulary_size:
        raise ConfigError(
            f"tokenizer.take_from: a tokenizer of {folder} has {tokenizer.size} pieces; set "
            f"tokenizer.vocabulary_size to that, it is {config.tokenizer.vocabulary_size}"
        )
    ids = tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id
    if ids != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
        raise ConfigError(
            f"tokenizer.take_from: a tokenizer of {folder} numbers padding, unknown, beginning and "
            f"end {ids}; this trainer makes and needs {(PAD_ID, UNK_ID, BOS_ID, EOS_ID)}"
        )
