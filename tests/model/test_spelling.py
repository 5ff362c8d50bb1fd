"""What may follow what is exactly what can still become text by Python's strict decoder."""

from functools import cache
from itertools import product
from unicodedata import category

import numpy as np
import pytest

from model.spelling import OTHER, START, Spelling

# Piece i is the byte i; then come two pieces that are none.
PIECES = np.array([*range(256), OTHER, OTHER])
SPELLING = Spelling(PIECES)
WORD = 256
NOTHING = -1
# The first and the last byte of every range that RFC 3629 tells apart, and one within each.
EDGES = [
    *(0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xA5, 0xBF, 0xC0, 0xC1, 0xC2, 0xD0, 0xDF),
    *(0xE0, 0xE1, 0xEA, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF),
]


CONTINUED = [rest for length in range(4) for rest in product((0x80, 0x90, 0xA0), repeat=length)]
"""Every character that is begun can be finished by one of these."""


@cache
def missing(*data):
    """How many bytes the last character wants; None where no bytes can make text of these, which
    has no control characters.

    A decoder alone does not tell: Python's takes the beginning of a surrogate for one of a text.
    """
    for rest in CONTINUED:
        try:
            text = bytes((*data, *rest)).decode()
        except UnicodeDecodeError:
            continue
        if "Cc" not in map(category, text):
            return len(rest)
    return None


def test_bytes_are_allowed_where_they_can_become_text():
    count = 0
    for past in (past for length in range(4) for past in product(EDGES, repeat=length)):
        if (wanted := missing(*past)) is None:
            continue
        states = SPELLING.states(np.array([past], dtype=np.int32).reshape(1, len(past)))
        assert (states[0] != START) == (wanted > 0)
        allowed = SPELLING.all_allowed(states)[0]
        assert allowed[EDGES].tolist() == [missing(*past, byte) is not None for byte in EDGES]
        assert allowed[WORD:].tolist() == [wanted == 0] * 2
        count += 1
    assert count > 100


def test_rows_of_different_lengths_stand_side_by_side():
    past = np.array([[NOTHING, NOTHING, 0xC3], [WORD, 0xE2, 0x82], [NOTHING, 0xC3, 0xBC]])
    tokens = np.array([[0xBC, WORD], [0xAC, 0xC3], [WORD, 0xBC]])
    allowed = SPELLING.allows(SPELLING.states(past), tokens)
    assert allowed.tolist() == [[True, False], [True, False], [True, False]]


@pytest.mark.parametrize(
    "past", [(0xC3, WORD), (0xE2, 0x82, WORD), (0xBC,), (0xF0, 0x9F, 0xC3, 0xBC)]
)
def test_what_spells_nothing_is_passed_over(past):
    """A target that was given, not searched for, may hold anything."""
    assert SPELLING.states(np.array([past])).tolist() == [START]


def test_the_tokenizer_knows_its_bytes(joint_tokenizer):
    ids = joint_tokenizer.encode("Ω≈")
    spelling, past = joint_tokenizer.spelling, []
    inside = []
    for token in ids:
        [state] = spelling.states(np.array([past], dtype=np.int32).reshape(1, -1))
        assert spelling.all_allowed(np.array([state]))[0, token]
        past.append(token)
        inside.append(bool(spelling.states(np.array([past]))[0] != START))
    assert any(inside)
    assert not inside[-1]
