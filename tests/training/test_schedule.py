"""The learning rate over a run."""

import pytest

from training.config import TrainerConfig
from training.schedule import learning_rate, note_on_warm_up


def rates(decay, total=100, warmup=10):
    config = TrainerConfig(learning_rate=1.0, warmup_steps=warmup, decay=decay)
    return [learning_rate(step, total, config) for step in range(total + 1)]


@pytest.mark.parametrize("decay", ["cosine", "inverse_sqrt", "none"])
def test_rate_climbs_linearly_to_its_peak(decay):
    assert rates(decay)[:10] == pytest.approx([0.1 * step for step in range(1, 11)])


def test_cosine_is_halfway_down_in_the_middle_and_zero_at_the_end():
    curve = rates("cosine")
    assert curve[55] == pytest.approx(0.5)
    assert curve[100] == pytest.approx(0.0)
    assert curve[10:] == sorted(curve[10:], reverse=True)


def test_inverse_root_is_half_after_four_warm_ups_and_a_third_after_nine():
    curve = rates("inverse_sqrt")
    assert curve[39] == pytest.approx(0.5)
    assert curve[89] == pytest.approx(1 / 3)


def test_no_decay_stays_at_the_peak():
    assert set(rates("none")[9:]) == {1.0}


def test_run_shorter_than_its_warm_up_still_reaches_the_peak():
    assert rates("cosine", total=5)[4] == pytest.approx(1.0)


def test_run_that_never_leaves_its_warm_up_is_told_so():
    config = TrainerConfig(warmup_steps=400)
    assert note_on_warm_up(401, config) is None
    note = note_on_warm_up(72, config)
    assert note is not None
    assert "72 updates in all, and training.warmup_steps is 400" in note
    assert note_on_warm_up(72, TrainerConfig(warmup_steps=400, decay="none")) is None
