"""A comparison on our own corpus: resumed where it was killed, and never trained twice."""

import json
import math
import os
import shutil
import signal
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from model.checkpoint import load_checkpoint
from training.__main__ import main
from training.config import ConfigError
from training.textbook import comparison as module
from training.textbook.comparison import Budget, compare
from training.textbook.throughput import Throughput
from training.textbook.variant_run import POINTS
from training.textbook.variants import read_variation
from training.trainer import Trainer

VARIED = [read_variation("cell=rnn,gru"), read_variation("attention=none,additive")]
MORE = "threads = 1\n[validation]\nbeam_size = 1\nmax_pairs = 12\n"
QUIET = Console(quiet=True)


@pytest.fixture
def config(write_corpus):
    return write_corpus(MORE)


@pytest.fixture
def updates(monkeypatch):
    """Counts updates; after `limit` of them, the process is as good as killed."""

    class Count:
        made = 0
        limit = None
        signal_at = None

    def updates(self, original=Trainer.updates):
        for update in original(self):
            Count.made += 1
            if Count.made == Count.signal_at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield update
            if Count.made == Count.limit:
                raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "updates", updates)
    monkeypatch.setattr(module, "measure_throughput", lambda chosen, *_: fake_speeds(len(chosen)))
    return Count


def fake_speeds(count):
    return [Throughput(0.1 * (number + 1), 500.0) for number in range(count)]


def run_folders(config):
    return sorted((config.run / "comparison").glob("variant-*"))


def figures(comparison):
    return json.dumps(comparison.as_dict())


def test_killed_comparison_goes_on_and_ends_in_the_same_figures(config, updates, tmp_path):
    unbroken = compare(replace(config, run=tmp_path / "other"), VARIED, Budget(steps=20), QUIET)
    assert updates.made == 80
    updates.made, updates.limit = 0, 53
    with pytest.raises(KeyboardInterrupt):
        compare(config, VARIED, Budget(steps=20), QUIET)
    finished = [folder for folder in run_folders(config) if (folder / "result.json").exists()]
    assert len(finished) == 2
    before = {folder: (folder / "result.json").stat().st_mtime_ns for folder in finished}
    updates.made, updates.limit = 0, None
    resumed = compare(config, VARIED, Budget(steps=20), QUIET)
    # The third was at its 13th update and saved at its 12th: 8 and the 20 of the fourth remain.
    assert updates.made == 28
    assert {folder: (folder / "result.json").stat().st_mtime_ns for folder in finished} == before
    assert figures(resumed) == figures(unbroken)


def test_finished_comparison_trains_nothing_and_another_budget_trains_all(config, updates):
    first = compare(config, VARIED[:1], Budget(steps=3), QUIET)
    updates.made = 0
    assert figures(compare(config, VARIED[:1], Budget(steps=3), QUIET)) == figures(first)
    assert updates.made == 0
    compare(config, VARIED[:1], Budget(steps=4), QUIET)
    assert updates.made == 8


def test_variants_that_begin_with_other_weights_are_other_variants(
    config, updates, tiny_checkpoint, tmp_path
):
    beginning = shutil.copytree(tiny_checkpoint, tmp_path / "beginning")
    sizes = load_checkpoint(beginning).manifest.config
    begun = replace(
        config,
        model=replace(
            config.model,
            embedding_size=sizes.embedding_size,
            encoder_units=sizes.encoder_units,
            decoder_units=sizes.decoder_units,
            attention_units=sizes.attention_units,
        ),
        training=replace(config.training, start_from=beginning),
    )
    varied = [read_variation("dropout=0.1,0.2")]
    compare(begun, varied, Budget(steps=3), QUIET)
    digest = load_checkpoint(beginning).digest[:12]
    manifest = load_checkpoint(run_folders(begun)[0] / "checkpoint").manifest
    assert manifest.training["settings"]["start_from"] == f"tiny {digest}"
    updates.made = 0
    compare(begun, varied, Budget(steps=3), QUIET)
    assert updates.made == 0
    trained = run_folders(begun)[0] / "checkpoint"
    shutil.rmtree(beginning)
    shutil.copytree(trained, beginning)
    compare(begun, varied, Budget(steps=3), QUIET)
    assert updates.made == 6
    with pytest.raises(ConfigError, match="all variants begin alike"):
        read_variation("start_from=here,there")


@pytest.mark.usefixtures("updates")
def test_variants_share_a_budget_and_leave_checkpoints(config):
    comparison = compare(config, VARIED, Budget(steps=20), QUIET)
    assert [s.result.label for s in comparison.standings] == [
        "tanh · fixed vector",
        "tanh · attention",
        "GRU · fixed vector",
        "GRU · attention",
    ]
    assert {s.result.steps for s in comparison.standings} == {20}
    assert len({s.result.tokens for s in comparison.standings}) == 1
    assert all(len(s.result.points) == POINTS for s in comparison.standings)
    assert [s.p_value for s in comparison.standings].count(None) == 1
    cells = {load_checkpoint(f / "checkpoint").manifest.config.cell for f in run_folders(config)}
    assert cells == {"rnn", "gru"}
    assert not list(config.run.glob("comparison/*/resume"))


@pytest.mark.usefixtures("updates")
def test_budget_in_seconds_gives_slower_variants_fewer_updates(config):
    comparison = compare(config, VARIED[:1], Budget(seconds=1.2), QUIET)
    assert [s.result.steps for s in comparison.standings] == [12, 6]


@pytest.mark.usefixtures("updates")
def test_variant_that_cannot_be_trained_is_reported_beside_the_others(config):
    rates = [read_variation("learning_rate=0.002,1e30")]
    comparison = compare(config, rates, Budget(steps=20), QUIET)
    assert [s.result.label for s in comparison.standings] == ["learning_rate 0.002"]
    assert "not finite" in comparison.failures[0].reason
    assert "Not to be trained like this: learning_rate 1e+30" in comparison.recommendation


def test_measured_speeds_are_kept_for_the_resumed_comparison(write_corpus):
    config = write_corpus(MORE)
    first = compare(config, VARIED[:1], Budget(steps=1), QUIET)
    again = compare(config, VARIED[:1], Budget(steps=1), QUIET)
    assert all(s.throughput.tokens_per_second > 0 for s in first.standings)
    assert [s.throughput for s in again.standings] == [s.throughput for s in first.standings]


def test_a_variant_added_later_leaves_the_budget_in_seconds_of_those_before(
    config, updates, monkeypatch
):
    compare(config, [read_variation("cell=rnn")], Budget(seconds=1.2), QUIET)
    busy = [Throughput(0.2, 250.0), Throughput(0.4, 250.0)]  # twice as slow as it was then
    monkeypatch.setattr(module, "measure_throughput", lambda *_: busy)
    comparison = compare(config, VARIED[:1], Budget(seconds=1.2), QUIET)
    assert [s.result.steps for s in comparison.standings] == [12, 6]
    assert [s.throughput.tokens_per_second for s in comparison.standings] == [500.0, 500.0]
    assert updates.made == 12 + 6


@pytest.mark.parametrize(
    "budget",
    [{}, {"steps": 3, "seconds": 1.0}, {"seconds": 0.0}, {"seconds": math.inf}],
)
def test_budget_is_one_of_two(budget):
    with pytest.raises(ConfigError, match="--steps or --seconds"):
        Budget(**budget)


def test_signal_saves_the_state_and_the_same_command_goes_on(
    monkeypatch, config, updates, tmp_path
):
    arguments = ["training", "compare", str(tmp_path / "config.toml"), "--vary", "cell=rnn"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--steps", "9"])
    updates.signal_at = 4
    with pytest.raises(SystemExit) as stopped:
        main()
    assert (stopped.value.code, updates.made) == (75, 4)
    assert not (config.run / "comparison" / "report.html").exists()
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, updates.made) == (0, 9)
    page = (config.run / "comparison" / "report.html").read_text("utf-8")
    assert "Only tanh was trained" in page
