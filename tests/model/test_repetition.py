"""Runs of tokens do not come again, unless the source repeats itself."""

import numpy as np
import pytest

from model.repetition import most_repeated, repeats

EOS, NOTHING = 3, -1


def counted(past, size):
    """How often each continuation would come as the end of a run of `size`, by plain counting."""
    counts = {}
    for token in range(4, 7):
        after = [*past, token]
        run = after[-size:]
        windows = [after[first : first + size] for first in range(len(after) - size + 1)]
        counts[token] = windows.count(run) if len(after) >= size else 0
    return counts


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 30])
def test_repetitions_are_those_that_plain_counting_finds(size, limit):
    random = np.random.default_rng(3)
    found = 0
    for length in (0, 1, 2, 5, 40):
        past = random.integers(4, 7, (6, length))
        tokens = np.tile(np.arange(4, 7), (6, 1))
        repeating = repeats(past, tokens, np.full(6, size), np.full(6, limit))
        for row in range(6):
            counts = counted(past[row].tolist(), size)
            assert repeating[row].tolist() == [counts[token] > limit for token in range(4, 7)]
        found += repeating.sum()
    assert (found > 0) == (size < 30)


def test_each_row_has_its_own_length_run_and_limit():
    past = np.array(
        [
            [4, 5, 6, 4, 5],
            [NOTHING, NOTHING, NOTHING, 4, 5],
            [4, 5, 6, 4, 5],
            [4, 5, 6, 4, 5],
            [4, 5, 6, 4, 5],
        ]
    )
    tokens = np.array([[6, 7]] * 5)
    repeating = repeats(past, tokens, np.array([3, 3, 4, 0, 3]), np.array([1, 1, 1, 1, 2]))
    assert repeating.tolist() == [[True, False], *[[False, False]] * 4]


@pytest.mark.parametrize(
    ("source", "times"),
    [
        ((EOS,), 1),
        ((5, EOS), 1),
        ((5, 6, 7, 8, EOS), 1),
        ((5, 6, 7, 5, 6, EOS), 2),
        ((5, 5, 5, 5, EOS), 3),
        ((5, 5, EOS), 1),
        ((5, EOS, 5, EOS), 1),
    ],
)
def test_the_most_frequent_run_of_a_source(source, times):
    assert most_repeated(source) == times
