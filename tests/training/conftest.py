"""A small corpus of our own on disk and the configuration that trains on it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.checkpoint import save_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from training.config import TrainingConfig
from training.config_reader import read_config
from training.corpus import Pair

TOML = """
run = "run"
[data]
train = "train.tsv"
validation = "validation.tsv"
source_language = "en"
target_language = "fr"
[tokenizer]
vocabulary_size = 500
[model]
embedding_size = 16
encoder_units = 16
decoder_units = 16
attention_units = 16
[training]
max_batch_tokens = 400
max_steps = 4
"""


@pytest.fixture
def write_corpus(tmp_path: Path, pairs: list[tuple[str, str]]) -> Callable[[str], TrainingConfig]:
    """Writes 300 pairs for training, 20 for validation and the TOML with the given lines added."""

    def write(more: str = "") -> TrainingConfig:
        for name, part in (("train", pairs[:300]), ("validation", pairs[300:])):
            text = "".join(f"{source}\t{target}\tours\n" for source, target in part)
            (tmp_path / f"{name}.tsv").write_text(text, encoding="utf-8")
        (tmp_path / "config.toml").write_text(TOML + more, encoding="utf-8")
        return read_config(tmp_path / "config.toml")

    return write


def write_checkpoint(folder: Path, tokenizer: Tokenizer, **choices: str) -> Path:
    """An untrained network over our vocabulary; `choices` are fields of its configuration."""
    torch.manual_seed(4)
    config = ModelConfig(
        source_vocabulary_size=tokenizer.size,
        target_vocabulary_size=tokenizer.size,
        embedding_size=8,
        encoder_units=8,
        decoder_units=8,
        attention_units=8,
        **choices,
    )
    save_checkpoint(
        folder,
        model=Seq2Seq(config),
        source_tokenizer=tokenizer,
        target_tokenizer=tokenizer,
        source_language="en",
        target_language="fr",
        training={},
        metrics={},
        card="",
    )
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, joint_tokenizer: Tokenizer) -> Path:
    """The folder of an untrained network."""
    return write_checkpoint(tmp_path_factory.mktemp("evaluation") / "tiny", joint_tokenizer)


@pytest.fixture(scope="session")
def some_pairs(pairs: list[tuple[str, str]]) -> list[Pair]:
    """Forty of our pairs, said to come from two origins in turn."""
    return [Pair(*pair, ("book", "film")[i % 2]) for i, pair in enumerate(pairs[:40])]
