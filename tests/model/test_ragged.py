"""Which row reads which token, at every step and in both directions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.ragged import Ragged


def test_the_longest_sentences_are_the_first_rows_of_every_step():
    layout = Ragged.of(np.array([2, 3, 1]))
    assert layout.counts.tolist() == [3, 2, 1]
    # Token 21 is the first of the second sentence; a hundred more where it is read back.
    tokens = np.array([11, 12, 21, 22, 23, 31])
    inputs = layout.inputs(tokens, tokens + 100)
    first, second, third = np.split(inputs, (2 * layout.counts).cumsum()[:-1])
    assert first.tolist() == [21, 11, 31, 123, 112, 131]
    assert second.tolist() == [22, 12, 122, 111]
    assert third.tolist() == [23, 121]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_every_token_is_read_once_each_way_from_its_own_end(lengths):
    layout = Ragged.of(np.array(lengths))
    total = sum(lengths)
    assert sorted([*layout.ahead, *layout.back]) == list(range(2 * total))
    step_of = np.repeat(np.arange(len(layout.counts)), 2 * layout.counts)
    for start, end, length in zip(layout.starts, layout.ends, lengths, strict=True):
        assert step_of[layout.ahead[start : end + 1]].tolist() == list(range(length))
        assert step_of[layout.back[start : end + 1]].tolist() == list(reversed(range(length)))
