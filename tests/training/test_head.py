"""An alignment head learns silver links on a translator that stays as it is."""

import io
import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from model.alignment_head import forced_head_weights
from model.batch import pad_sentences
from model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from model.words import group_pieces
from training.__main__ import main
from training.aligner import AlignerError, white_space_words
from training.config_reader import read_config
from training.head import HeadTrainer, train_head
from training.interruption import run_lock
from training.precision import Placement
from training.prepare import prepare
from training.silver import align, piece_links

QUIET = Console(quiet=True)
NOUNS = ["cat", "dog", "bird", "fish", "horse", "cow", "hen", "fox"]
VERBS = ["sees", "likes", "hears", "follows", "knows"]
TOML = """
run = "run"
[data]
train = "pairs.tsv"
validation = "pairs.tsv"
source_language = "en"
target_language = "en"
[tokenizer]
vocabulary_size = 372
[model]
embedding_size = 24
encoder_units = 24
decoder_units = 24
attention_units = 24
[training]
threads = 1
[align]
links = "links.txt"
[head]
units = 24
max_steps = 150
refinement_steps = 20
max_batch_tokens = 600
learning_rate = 0.01
held_out = 40
[validation]
gold_align = "gold"
"""


@pytest.fixture
def config(tmp_path):
    """Sentences to be copied, with the diagonal as their links, and six of them as gold."""
    lines = [f"{a} {v} {b}" for a in NOUNS for v in VERBS for b in NOUNS if a != b]
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{line}\n" for line in lines))
    (tmp_path / "links.txt").write_text("0-0 1-1 2-2\n" * len(lines))
    (tmp_path / "gold").mkdir()
    for name in ("src.txt", "tgt.txt"):
        (tmp_path / "gold" / name).write_text("".join(f"{line}\n" for line in lines[:6]))
    (tmp_path / "gold" / "gold.txt").write_text("0-0 1-1 2-2\n" * 6)
    (tmp_path / "run.toml").write_text(TOML)
    return read_config(tmp_path / "run.toml")


def untrained(config, prepared, **choices):
    """A checkpoint with random weights: the head must find the diagonal without their help."""
    torch.manual_seed(3)
    tokenizer = Tokenizer(prepared.source_spm)
    values = {
        "source_vocabulary_size": tokenizer.size,
        "target_vocabulary_size": tokenizer.size,
        **{f"{name}_units": 24 for name in ("encoder", "decoder", "attention")},
        "embedding_size": 24,
        **choices,
    }
    save_checkpoint(
        config.checkpoint_folder,
        model=Seq2Seq(ModelConfig(**values)),
        source_tokenizer=tokenizer,
        target_tokenizer=tokenizer,
        source_language="en",
        target_language="en",
        training={},
        metrics={"bleu": 1.0},
        card="# A copier\n",
    )
    return config.checkpoint_folder


@pytest.mark.parametrize("query", ["conditional", "previous"])
def test_a_head_trained_on_copies_finds_the_diagonal(config, query):
    prepared = prepare(config, QUIET)
    folder = untrained(config, prepared, attention_query=query)
    before = (folder / "model.safetensors").read_bytes()
    output = io.StringIO()
    console = Console(file=output, width=120)
    metrics = train_head(config, prepared, align(config, prepared, QUIET), folder, console)
    assert (folder / "model.safetensors").read_bytes() == before
    checkpoint = load_checkpoint(folder)
    assert checkpoint.manifest.metrics == {"bleu": 1.0, **json.loads(json.dumps(metrics))}
    head = metrics["alignment"]["head"]
    assert head["aer"] < 5
    assert head["shift"] == 0
    assert head["threshold"] == checkpoint.manifest.alignment_head.threshold
    assert metrics["alignment"]["attention"]["aer"] > 20
    assert f"head: AER {head['aer']:.1f}" in output.getvalue()
    assert "| head | gold |" in (folder / "MODEL_CARD.md").read_text()

    text = "hen knows fox"
    encoded = checkpoint.source_tokenizer.encode_with_spans(text)
    ids = [*encoded.ids, 3]
    [weights] = forced_head_weights(
        checkpoint.model, checkpoint.alignment_head, pad_sentences([ids], 0), [ids]
    )
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(ids)), atol=1e-4, rtol=0)
    groups = group_pieces(text, white_space_words(text), encoded.spans)
    assert len(groups) == 3
    for index, rows in enumerate(groups):
        row = weights[list(rows.pieces)].mean(dim=0)
        shares = [float(row[list(columns.pieces)].sum()) for columns in groups]
        assert shares.index(max(shares)) == index


def test_pairs_that_are_held_out_are_a_tenth_at_most_and_never_learned_from(config, monkeypatch):
    prepared = prepare(config, QUIET)
    model = load_checkpoint(untrained(config, prepared)).model
    silver = align(config, prepared, QUIET)
    asked = replace(config.head, held_out=10**6, joined_share=1.0)
    trainer = HeadTrainer(asked, model, prepared, silver, Placement(torch.device("cpu"), False))
    monkeypatch.setattr(trainer, "_examples", lambda examples: examples)
    held_out = set(np.flatnonzero(trainer._held_out).tolist())
    assert 0 < len(held_out) <= len(silver) / 10
    others = [pair for pair in range(len(silver)) if pair not in held_out]
    batches = itertools.islice(trainer._batches(), len(others))
    learned = [pair for examples in batches for pair in examples.rows.tolist()]
    # An epoch has each of them once, though all are joined to longer examples.
    assert sorted(learned[: len(others)]) == others
    assert held_out.isdisjoint(learned)


def trained(config, prepared, silver, model, **settings):
    torch.manual_seed(4)
    settings = replace(config.head, **settings)
    trainer = HeadTrainer(settings, model, prepared, silver, Placement(torch.device("cpu"), False))
    trainer.train(QUIET)
    return trainer


def test_a_refinement_tells_apart_what_a_head_confuses(config, tmp_path):
    lines = [f"{a} {a} {v} {b} {a}" for a in NOUNS for v in VERBS for b in NOUNS if a != b]
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{line}\n" for line in lines))
    (tmp_path / "links.txt").write_text("0-0 1-1 2-2 3-3 4-4\n" * len(lines))
    prepared = prepare(config, QUIET)
    model = load_checkpoint(untrained(config, prepared)).model
    silver = align(config, prepared, QUIET)
    plain = trained(config, prepared, silver, model, max_steps=40, refinement_channels=0)
    refined = trained(config, prepared, silver, model, max_steps=40, refinement_steps=40)
    assert plain.head.refinement is None
    weights = refined.head.state_dict()
    for name, weight in plain.head.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=0, rtol=0)
    assert refined.measure().aer < plain.measure().aer / 2


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_a_head_that_is_kept_gets_a_new_refinement(config, monkeypatch):
    path = config.run.parent / "run.toml"
    text = TOML.replace("max_steps = 150", "max_steps = 2")
    path.write_text(text.replace("refinement_steps = 20", "refinement_channels = 0"))
    folder = untrained(config, prepare(config, QUIET))
    assert run(monkeypatch, "head", path) == 0
    before = load_checkpoint(folder).alignment_head
    assert before.refinement is None
    path.write_text(text.replace("units = 24\nmax", "units = 9\nmax"))
    assert run(monkeypatch, "head", path, "--keep") == 0
    after = load_checkpoint(folder).alignment_head
    assert after.units == 24
    assert after.refinement.channels == 16
    assert after.refinement.outer.weight.any()
    kept = after.state_dict()
    for name, weight in before.state_dict().items():
        torch.testing.assert_close(kept[name], weight, atol=0, rtol=0)


def test_the_head_of_another_checkpoint_can_be_kept(config, monkeypatch, capsys):
    path = config.run.parent / "run.toml"
    path.write_text(TOML.replace("max_steps = 150", "max_steps = 2"))
    folder = untrained(config, prepare(config, QUIET))
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    assert run(monkeypatch, "head", path) == 0
    assert run(monkeypatch, "head", path, "--checkpoint", other, "--keep-of", folder) == 0
    before, after = (load_checkpoint(one).alignment_head for one in (folder, other))
    kept = after.state_dict()
    for name, weight in before.state_dict().items():
        if not name.startswith("refinement"):
            torch.testing.assert_close(kept[name], weight, atol=0, rtol=0)

    untrained(config, prepare(config, QUIET), encoder_units=20)
    assert run(monkeypatch, "head", path, "--keep-of", other) == 2
    assert "its network has other sizes" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [("", "has no alignment head to keep"), ("refinement_channels = 0\n", "nothing to train")],
)
def test_what_cannot_be_kept_or_refined_is_said_first(config, monkeypatch, capsys, more, message):
    path = config.run.parent / "run.toml"
    path.write_text(TOML.replace("max_steps = 150\n", f"max_steps = 2\n{more}"))
    folder = untrained(config, prepare(config, QUIET))
    if more:
        assert run(monkeypatch, "head", path) == 0
    before = (folder / "manifest.json").read_bytes()
    assert run(monkeypatch, "head", path, "--keep") == 2
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert (folder / "manifest.json").read_bytes() == before


def test_the_command_makes_links_and_head(config, monkeypatch):
    untrained(config, prepare(config, QUIET))
    monkeypatch.setattr("sys.argv", ["training", "align", str(config.run.parent / "run.toml")])
    with pytest.raises(SystemExit) as exit_of_align:
        main()
    assert exit_of_align.value.code == 0
    path = config.run.parent / "run.toml"
    path.write_text(TOML.replace("max_steps = 150", "max_steps = 2"))
    monkeypatch.setattr("sys.argv", ["training", "head", str(path)])
    with pytest.raises(SystemExit) as exit_of_head:
        main()
    assert exit_of_head.value.code == 0
    assert load_checkpoint(config.checkpoint_folder).alignment_head is not None


@pytest.mark.parametrize("name", ["align", "head"])
def test_a_run_folder_in_use_is_left_alone(config, monkeypatch, name):
    path = config.run.parent / "run.toml"
    monkeypatch.setattr("sys.argv", ["training", name, str(path)])
    with run_lock(config.run), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 5
    assert not config.prepared_folder.exists()


def test_a_checkpoint_that_does_not_fit_costs_no_alignment(config, monkeypatch, capsys):
    untrained(config, prepare(config, QUIET), attention="none")
    monkeypatch.setattr("sys.argv", ["training", "head", str(config.run.parent / "run.toml")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "attention is" in capsys.readouterr().err
    assert not (config.prepared_folder / "links").exists()


def test_silver_links_are_kept_until_their_source_changes(config):
    prepared = prepare(config, QUIET)
    first = align(config, prepared, QUIET)
    assert len(first) == len(prepared.train)
    output = io.StringIO()
    align(config, prepared, Console(file=output))
    assert "up to date" in output.getvalue()
    path = config.run.parent / "links.txt"
    path.write_text(path.read_text().replace("0-0", "0-1", 1))
    assert align(config, prepared, QUIET)[0].tolist() != first[0].tolist()


def test_a_link_outside_its_sentence_is_named(config):
    path = config.run.parent / "links.txt"
    path.write_text(path.read_text().replace("2-2", "2-3", 1))
    with pytest.raises(AlignerError, match=r"links\.txt:1: link 2-3 lies outside"):
        align(config, prepare(config, QUIET), QUIET)
    assert list(config.prepared_folder.glob("links*")) == []


def test_word_links_join_all_pieces_of_both_words(joint_tokenizer):
    source, target = "unbelievable cats", "chats incroyables"
    one, other = (joint_tokenizer.encode_with_spans(text) for text in (source, target))
    found = piece_links(source, target, one, other, [(0, 1)], white_space_words)
    columns = {index for index, (start, _) in enumerate(one.spans) if start < 12}
    rows = {index for index, (start, _) in enumerate(other.spans) if start >= 6}
    assert len(columns) > 1
    assert len(rows) > 1
    assert found == sorted((column, row) for column in columns for row in rows)


def test_rows_to_learn_sum_to_one_and_unlinked_pieces_choose_eos(config):
    prepared = prepare(config, QUIET)
    path = config.run.parent / "links.txt"
    path.write_text("0-0 2-0\n" + "\n".join(path.read_text().split("\n")[1:]))
    silver = align(config, prepared, QUIET)
    lengths = [int(side.lengths[0]) for side in (prepared.train.source, prepared.train.target)]
    [wanted] = silver.targets([0], lengths[:1], lengths[1:])
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(lengths[1]))
    linked = {target for _, target in silver[0].tolist()}
    for row in range(lengths[1]):
        assert (wanted[row, -1] == 1.0) == (row not in linked)


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"attention": "none"}, 'attention is "none"'), ({}, "tokenizers are not those")],
)
def test_a_checkpoint_that_does_not_fit_is_left_as_it_is(config, joint_tokenizer, choices, message):
    prepared = prepare(config, QUIET)
    silver = align(config, prepared, QUIET)
    folder = untrained(config, prepared, **choices)
    if not choices:
        other = load_checkpoint(folder)
        save_checkpoint(
            folder,
            model=Seq2Seq(
                ModelConfig(
                    source_vocabulary_size=joint_tokenizer.size,
                    target_vocabulary_size=joint_tokenizer.size,
                    embedding_size=8,
                )
            ),
            source_tokenizer=joint_tokenizer,
            target_tokenizer=joint_tokenizer,
            source_language="en",
            target_language="en",
            training=other.manifest.training,
            metrics={},
            card="",
        )
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(CheckpointError, match=message):
        train_head(config, prepared, silver, folder, QUIET)
    assert (folder / "manifest.json").read_bytes() == before
