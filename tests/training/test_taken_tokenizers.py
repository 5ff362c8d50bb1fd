"""A run can take the tokenizers of a finished checkpoint, so that no piece changes its number."""

from dataclasses import replace

import pytest
from rich.console import Console

from model.checkpoint import CheckpointError, load_checkpoint
from training.config import ConfigError
from training.config_reader import read_config
from training.fingerprint import data_components
from training.prepare import prepare
from training.run import train
from training.taken_tokenizers import taken_tokenizers

QUIET = Console(quiet=True)


@pytest.fixture
def finished(write_corpus, tmp_path):
    """A checkpoint with a tokenizer of 500 pieces, and a configuration with half its corpus."""
    folder = train(write_corpus(), QUIET)
    assert folder is not None
    folder = folder.rename(tmp_path / "finished")
    lines = (tmp_path / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "train.tsv").write_text("".join(lines[::2]), encoding="utf-8")
    return folder


def configured(tmp_path, **tokenizer):
    config = read_config(tmp_path / "config.toml")
    changed = {"take_from": tmp_path / "finished", **tokenizer}
    return replace(config, run=tmp_path / "again", tokenizer=replace(config.tokenizer, **changed))


def test_other_text_gets_the_same_pieces(finished, tmp_path):
    before = load_checkpoint(finished)
    prepared = prepare(configured(tmp_path), QUIET)
    assert prepared.source_spm == before.source_tokenizer.serialized
    assert prepared.target_spm == before.target_tokenizer.serialized
    trained = prepare(configured(tmp_path, take_from=None), QUIET)
    assert trained.source_spm != before.source_tokenizer.serialized


def test_a_checkpoint_counts_by_its_tokenizers_and_not_by_its_place(finished, tmp_path):
    here = data_components(configured(tmp_path))
    moved = finished.rename(tmp_path / "elsewhere")
    assert data_components(configured(tmp_path, take_from=moved)) == here
    none = data_components(configured(tmp_path, take_from=None))
    assert here.keys() - none.keys() == {"tokenizer.take_from"}


def test_the_opposite_direction_swaps_them(write_corpus):
    config = write_corpus()
    config = replace(
        config,
        tokenizer=replace(config.tokenizer, joint=False, vocabulary_size=400),
        model=replace(
            config.model,
            share_embeddings=False,
            source_vocabulary_size=400,
            target_vocabulary_size=400,
        ),
    )
    folder = train(config, QUIET)
    assert folder is not None
    source, target = taken_tokenizers(folder, config)
    assert source != target
    swapped = replace(config.data, source_language="fr", target_language="en", reverse=True)
    assert taken_tokenizers(folder, replace(config, data=swapped)) == (target, source)
    joint = replace(
        config,
        tokenizer=replace(config.tokenizer, joint=True),
        model=replace(config.model, share_embeddings=True),
    )
    with pytest.raises(ConfigError, match=r"a tokenizer for each side; set tokenizer.joint"):
        taken_tokenizers(folder, joint)


@pytest.mark.usefixtures("finished")
def test_what_does_not_fit_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"has 500 pieces; set tokenizer.vocabulary_size to that"):
        data_components(configured(tmp_path, vocabulary_size=450))
    with pytest.raises(CheckpointError, match="nowhere: not a folder"):
        data_components(configured(tmp_path, take_from=tmp_path / "nowhere"))
