"""Joined pairs keep their tokens and their links."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.dataset import ParallelDataset, TokenArray
from training.joining import grouped, join
from training.silver import SilverLinks


def array(*sentences):
    offsets = np.cumsum([0, *map(len, sentences)])
    return TokenArray(np.array([token for one in sentences for token in one]), offsets)


DATASET = ParallelDataset(
    array([5, 6, 3], [7, 3], [8, 9, 10, 3]), array([15, 3], [16, 17, 3], [18, 19, 3])
)
SILVER = SilverLinks(np.array([[0, 0], [1, 0], [0, 1], [2, 0]]), np.array([0, 2, 3, 4]))


def test_links_move_with_their_pairs_and_one_eos_stays():
    dataset, silver = join(DATASET, SILVER, [[2, 0], [1]])
    assert [dataset.source[row].tolist() for row in range(2)] == [[8, 9, 10, 5, 6, 3], [7, 3]]
    assert [dataset.target[row].tolist() for row in range(2)] == [[18, 19, 15, 3], [16, 17, 3]]
    assert silver[0].tolist() == [[2, 0], [3, 2], [4, 2]]
    assert silver[1].tolist() == [[0, 1]]


def test_groups_of_one_are_the_pairs_themselves():
    dataset, silver = join(DATASET, SILVER, [[0], [1], [2]])
    for row in range(3):
        assert dataset.source[row].tolist() == DATASET.source[row].tolist()
        assert dataset.target[row].tolist() == DATASET.target[row].tolist()
        assert silver[row].tolist() == SILVER[row].tolist()


@given(st.lists(st.integers(1, 150), min_size=1, max_size=60), st.integers(1, 120))
def test_every_row_is_in_one_group_and_no_group_is_too_long(lengths, longest):
    rows = np.arange(100, 100 + len(lengths))
    groups = grouped(rows, np.array(lengths), longest, np.random.default_rng(0))
    assert [row for group in groups for row in group] == rows.tolist()
    for group in groups:
        assert len(group) == 1 or sum(lengths[row - 100] for row in group) <= longest
