"""Joined pairs keep their tokens and their links."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.dataset import ParallelDataset, TokenArray
from training.joining import Examples, join, join_some
from training.silver import SilverLinks


def array(*sentences):
    offsets = np.cumsum([0, *map(len, sentences)])
    return TokenArray(np.array([token for one in sentences for token in one]), offsets)


DATASET = ParallelDataset(
    array([5, 6, 3], [7, 3], [8, 9, 10, 3]), array([15, 3], [16, 17, 3], [18, 19, 3])
)
SILVER = SilverLinks(np.array([[0, 0], [1, 0], [0, 1], [2, 0]]), np.array([0, 2, 3, 4]))


def test_links_move_with_their_pairs_and_one_eos_stays():
    examples = Examples(np.array([2, 0, 1]), np.array([0, 2, 3]))
    dataset = join(DATASET, examples)
    silver = SILVER.joined(DATASET, examples)
    assert [dataset.source[row].tolist() for row in range(2)] == [[8, 9, 10, 5, 6, 3], [7, 3]]
    assert [dataset.target[row].tolist() for row in range(2)] == [[18, 19, 15, 3], [16, 17, 3]]
    assert silver[0].tolist() == [[2, 0], [3, 2], [4, 2]]
    assert silver[1].tolist() == [[0, 1]]


def test_single_pairs_are_the_pairs_themselves():
    examples = Examples.single(np.arange(3))
    dataset = join(DATASET, examples)
    silver = SILVER.joined(DATASET, examples)
    for row in range(3):
        assert dataset.source[row].tolist() == DATASET.source[row].tolist()
        assert dataset.target[row].tolist() == DATASET.target[row].tolist()
        assert silver[row].tolist() == SILVER[row].tolist()


@given(st.lists(st.integers(1, 150), min_size=1, max_size=60), st.integers(1, 120), st.floats(0, 1))
def test_every_pair_is_in_one_example_and_no_joined_one_is_too_long(lengths, longest, share):
    examples = join_some(np.array(lengths), share, longest, np.random.default_rng(0))
    assert sorted(examples.rows.tolist()) == list(range(len(lengths)))
    groups = [examples[index].tolist() for index in range(len(examples))]
    assert [row for group in groups for row in group] == examples.rows.tolist()
    for group in groups:
        assert len(group) == 1 or sum(lengths[row] for row in group) <= longest
    assert sum(len(group) for group in groups if len(group) > 1) <= round(share * len(lengths))


def test_pairs_that_are_not_asked_for_are_in_no_example():
    pairs = np.array([1, 4, 5, 9, 11, 12, 17])
    examples = join_some(np.full(20, 4), 0.6, 12, np.random.default_rng(0), pairs)
    assert sorted(examples.rows.tolist()) == pairs.tolist()
    assert 4 < len(examples) < 7


def test_some_examples_are_taken_in_the_order_asked_for():
    examples = Examples(np.array([4, 2, 0, 1, 3]), np.array([0, 2, 3, 5]))
    taken = examples.take(np.array([2, 0]))
    assert [taken[index].tolist() for index in range(len(taken))] == [[1, 3], [4, 2]]
    assert taken.lengths(np.array([3, 2, 5, 4, 7])).tolist() == [2 + 4 - 1, 7 + 5 - 1]
