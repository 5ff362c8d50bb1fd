"""Hashes are new exactly once, in whatever blocks they come, and take eight bytes each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.duplicates import SeenHashes


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
def test_a_hash_is_new_exactly_when_a_set_would_say_so(blocks):
    seen, expected = SeenHashes(), set()
    for block in blocks:
        fresh = seen.add(np.array(block, np.uint64))
        for value, is_fresh in zip(block, fresh.tolist(), strict=True):
            assert is_fresh == (value not in expected)
            expected.add(value)
    assert len(seen) == len(expected)


def test_the_largest_and_the_smallest_hash_are_found():
    seen = SeenHashes()
    ends = np.array([0, 2**64 - 1], np.uint64)
    assert seen.add(ends).all()
    assert not seen.add(ends).any()


def test_a_million_hashes_are_held_in_few_runs_of_eight_bytes_each():
    random = np.random.default_rng(5)
    seen = SeenHashes()
    for _ in range(100):
        assert seen.add(random.integers(0, 2**64, 10_000, np.uint64)).all()
    assert len(seen) == 1_000_000
    assert sum(run.nbytes for run in seen._runs) == 8_000_000
    assert len(seen._runs) < 10
