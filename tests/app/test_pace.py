"""The estimate of how long waiting takes."""

import pytest

from app.pace import UNMEASURED_SECONDS, Pace


@pytest.fixture
def pace():
    pace = Pace()
    pace.calibrate("model", {1: 0.001, 100: 0.002, 200: 0.004})
    return pace


def test_work_is_measured_by_a_full_table(pace):
    assert pace.seconds(pace.work("model", 1_000)) == pytest.approx(0.02)


def test_a_quiet_hour_does_not_make_a_full_table_look_slow(pace):
    for _ in range(1_000):
        pace.note("model", 1, 0.001)
    assert pace.seconds(pace.work("model", 1_000)) == pytest.approx(0.02)


@pytest.mark.parametrize(("rows", "seconds"), [(1, 0.003), (50, 0.0045), (250, 0.012)])
def test_a_machine_that_gets_slower_is_noticed_by_steps_of_any_size(pace, rows, seconds):
    for _ in range(200):
        pace.note("model", rows, seconds)
    assert pace.seconds(pace.work("model", 1_000)) == pytest.approx(0.06, rel=0.01)


def test_a_moment_in_which_the_machine_was_busy_does_not_make_few_rows_look_slow(pace):
    pace.calibrate("model", {1: 0.003, 100: 0.002, 200: 0.004})
    for _ in range(200):
        pace.note("model", 1, 0.006)
    assert pace.seconds(pace.work("model", 1_000)) == pytest.approx(0.04, rel=0.01)


def test_a_model_without_a_warm_up_has_a_guess(pace):
    pace.note("other", 1, 1.0)
    assert pace.seconds(pace.work("other", 10)) == pytest.approx(10 * UNMEASURED_SECONDS)


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_translations_that_are_longer_than_guessed_are_learned_from(pace, times):
    for guessed in (4, 20, 60) * 100:
        pace.note_length(guessed, round(times * guessed))
    assert pace.seconds(pace.work("model", 1_000)) == pytest.approx(0.02 * times, rel=0.01)
