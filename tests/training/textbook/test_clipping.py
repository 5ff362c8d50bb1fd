"""Runs with and without clipping: the same start, counted clips, and what counts as diverging."""

import math

import pytest
from rich.console import Console

from training.prepare import prepare
from training.textbook import clipping
from training.textbook.clipping import ClippingRun, clipping_runs

QUIET = Console(quiet=True)


def runs(config, steps):
    return clipping_runs(config, prepare(config, QUIET), steps, QUIET)


def test_runs_start_alike_and_exploding_gradients_part_them(write_corpus, monkeypatch):
    # Far above the rate at which processors that round differently fall on either side.
    monkeypatch.setattr(clipping, "DESCENT_RATE", 10.0)
    found = runs(write_corpus("clip_norm = 0.1\nthreads = 1\nwarmup_steps = 5\n"), steps=40)
    assert [(run.optimizer, run.clip_norm) for run in found] == [
        ("Gradient descent", 0.0),
        ("Gradient descent", 0.1),
        ("AdamW", 0.0),
        ("AdamW", 0.1),
    ]
    assert len({run.losses[0] for run in found}) == 1
    assert len({run.norms[0] for run in found}) == 1
    assert [run.clipped > 0 for run in found] == [False, True, False, True]
    assert found[0].guess == pytest.approx(math.log(500))
    without, with_clipping, *_ = found
    assert without.diverged
    assert not with_clipping.diverged


def test_runs_are_reproducible(write_corpus):
    config = write_corpus("threads = 1\n")
    assert runs(config, steps=2) == runs(config, steps=2)


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ([6.0, 5.0, 4.0], "trains"),
        ([6.0, 5.0, 7.0], "diverges"),
        ([6.0, 5.0, None], "diverges"),
        ([None, 5.0, 4.0], "trains"),
        ([6.5, 6.4, 6.3], "has not learned yet"),
    ],
)
def test_what_became_of_a_run_follows_from_where_it_ends(losses, verdict):
    run = ClippingRun("AdamW", 0.0, losses, [1.0] * 3, 0.0, guess=6.2)
    assert run.verdict == verdict
    assert run.diverged is (verdict == "diverges")
