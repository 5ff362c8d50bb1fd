"""The penalties of Wu et al. (2016) and the order of hypotheses."""

import math

import pytest
import torch

from model.hypothesis import (
    Ending,
    SearchOptions,
    best_first,
    coverage_penalty,
    length_penalty,
    score,
)


def test_length_penalty_is_one_at_length_one_and_for_alpha_zero():
    assert length_penalty(1, 0.8) == 1.0
    assert length_penalty(30, 0.0) == 1.0


def test_length_penalty_follows_the_formula():
    assert length_penalty(7, 0.6) == pytest.approx(2.0**0.6)


def test_coverage_penalty_counts_only_what_is_missing():
    assert coverage_penalty(torch.tensor([1.0, 1.5]), 0.3) == 0.0
    expected = 0.3 * (math.log(0.5) + math.log(0.25))
    assert coverage_penalty(torch.tensor([0.5, 0.25, 2.0]), 0.3) == pytest.approx(expected)


def test_a_position_never_attended_costs_a_finite_amount():
    assert coverage_penalty(torch.zeros(1), 1.0) == pytest.approx(math.log(1e-6))


def test_score_joins_both_penalties_and_leaves_the_source_end_uncovered():
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25]])
    options = SearchOptions(length_penalty=1.0, coverage_penalty=0.5)
    expected = -2.1 / (7 / 6) + 0.5 * math.log(0.75)
    assert score(-2.1, 2, weights, options) == pytest.approx(expected)


def test_score_without_attention_has_nothing_to_cover():
    options = SearchOptions(length_penalty=0.0, coverage_penalty=0.5)
    assert score(-2.0, 2, torch.zeros(2, 0), options) == -2.0


def test_a_finished_hypothesis_stands_before_any_that_was_cut():
    cut, poor, good = (
        Ending(0, -1.0, -0.1, finished=False),
        Ending(1, -9.0, -3.0, finished=True),
        Ending(2, -2.0, -0.7, finished=True),
    )
    assert best_first([cut, poor, good]) == [good, poor, cut]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size is 0"),
        ({"beam_size": 2, "n_best": 3}, "n_best is 3"),
        ({"n_best": 0}, "n_best is 0"),
        ({"length_penalty": -0.1}, "length_penalty is -0.1"),
        ({"coverage_penalty": math.nan}, "coverage_penalty is nan"),
        ({"max_length": 0}, "max_length is 0"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        SearchOptions(**options)


def test_the_default_limit_grows_with_the_source_up_to_600():
    assert SearchOptions().longest_target(10) == 40
    assert SearchOptions().longest_target(1000) == 600
    assert SearchOptions(max_length=7).longest_target(1000) == 7
