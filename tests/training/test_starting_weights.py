"""A network that begins with the weights of a checkpoint knows what that one knew."""

import dataclasses
import shutil

import pytest
import torch
from rich.console import Console

from model.checkpoint import CheckpointError, load_checkpoint
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from training.config import ConfigError
from training.config_reader import read_config
from training.precision import Placement
from training.prepare import load_prepared, prepare
from training.resume import ResumeStore
from training.run import train
from training.starting_weights import start_from
from training.trainer import Trainer

QUIET = Console(quiet=True)


@pytest.fixture
def other_tokenizer(write_corpus):
    """A tokenizer of fewer pieces than the checkpoint's, over the same text."""
    config = write_corpus().run.parent / "config.toml"
    config.write_text(config.read_text().replace("vocabulary_size = 500", "vocabulary_size = 450"))
    return Tokenizer(prepare(read_config(config), QUIET).source_spm)


def test_the_same_vocabulary_gives_the_very_weights(tiny_checkpoint):
    before = load_checkpoint(tiny_checkpoint)
    model = Seq2Seq(before.manifest.config)
    said = start_from(tiny_checkpoint, model, before.source_tokenizer, before.target_tokenizer)
    assert said == f"tiny {before.digest[:12]}"
    for name, weight in before.model.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=1e-7)


def test_rows_follow_the_text_of_their_piece(tiny_checkpoint, other_tokenizer):
    before = load_checkpoint(tiny_checkpoint)
    old, new = before.source_tokenizer, other_tokenizer
    config = dataclasses.replace(
        before.manifest.config, source_vocabulary_size=new.size, target_vocabulary_size=new.size
    )
    model = Seq2Seq(config)
    start_from(tiny_checkpoint, model, new, new)
    old_pieces, new_pieces = (list(t.pieces(range(t.size))) for t in (old, new))
    shared = [piece for piece in new_pieces if piece in old_pieces]
    assert 300 < len(shared) < new.size
    assert [new_pieces.index(piece) for piece in shared] != [
        old_pieces.index(piece) for piece in shared
    ]
    table, wanted = model.target_embedding.weight, before.model.target_embedding.weight
    for piece in shared:
        row, expected = table[new_pieces.index(piece)], wanted[old_pieces.index(piece)]
        torch.testing.assert_close(row, expected)
    added = next(piece for piece in new_pieces if piece not in old_pieces)
    spelt = wanted[old.encode(added.replace("▁", " "))].mean(dim=0)
    torch.testing.assert_close(table[new_pieces.index(added)], spelt)


def test_a_network_of_another_shape_is_refused_by_name(tiny_checkpoint):
    before = load_checkpoint(tiny_checkpoint)
    config = dataclasses.replace(before.manifest.config, decoder_units=12, cell="lstm")
    tokenizer = before.source_tokenizer
    with pytest.raises(ConfigError, match=r"decoder_units is 12, there 8.*cell is 'lstm'"):
        start_from(tiny_checkpoint, Seq2Seq(config), tokenizer, tokenizer)


def test_a_run_says_what_it_began_with_and_keeps_no_path(write_corpus, tmp_path, capsys):
    config = write_corpus("learning_rate = 1e-6\n")
    first = train(config, Console())
    assert first is not None
    first = first.rename(tmp_path / "first")
    toml = (tmp_path / "config.toml").read_text().replace('run = "run"', 'run = "again"')
    toml = toml.replace("[training]", '[training]\nstart_from = "first"\njoined_share = 0.5')
    (tmp_path / "config.toml").write_text(toml)
    again = train(read_config(tmp_path / "config.toml"), Console())
    assert again is not None
    digest = load_checkpoint(first).digest[:12]
    assert f"Beginning with the weights of run {digest}" in capsys.readouterr().out
    manifest = load_checkpoint(again).manifest
    assert manifest.training["settings"]["start_from"] == f"run {digest}"
    assert str(tmp_path) not in manifest.to_json()


def test_where_a_run_began_is_not_asked_again(write_corpus, tmp_path):
    first = train(write_corpus(), QUIET)
    assert first is not None
    digest = load_checkpoint(first).digest[:12]
    begun = first.rename(tmp_path / "begun")
    config = tmp_path / "config.toml"
    toml = config.read_text().replace('run = "run"', 'run = "again"')
    config.write_text(toml.replace("[training]", '[training]\nstart_from = "begun"'))
    again = train(read_config(config), QUIET)
    assert again is not None
    shutil.rmtree(begun)
    resumed = read_config(config)
    assert train(resumed, QUIET) == again
    state, _ = ResumeStore(resumed.run / "resume").load()
    assert state is not None
    trainer = Trainer(
        resumed, load_prepared(resumed), Placement(torch.device("cpu"), False), resuming=True
    )
    trainer.restore(state)
    assert trainer.settings_told["start_from"] == f"run {digest}"


def test_a_checkpoint_that_is_not_there_is_said_before_anything_is_prepared(write_corpus):
    config = write_corpus('start_from = "nowhere"\n')
    with pytest.raises(CheckpointError, match="nowhere: not a folder"):
        train(config, Console(quiet=True))
    assert not config.prepared_folder.exists()
