"""Which pieces may follow each other where some of them are bytes, so that text stays UTF-8.

A vocabulary with byte fallback spells a character that it has no piece for in its bytes, one piece
each. Nothing in a network forbids it to stop half-way; this does, by the syntax of RFC 3629,
section 4. Control characters are forbidden too: the tokenizer leaves none in what a network learns
from, and a line end would part a translation in two.
"""

import numpy as np
from jaxtyping import Bool, Int

OTHER = 256
"""What stands for a piece that is no byte, where bytes are numbers."""

LOOKBACK = 3
"""Pieces that tell whether a character is open: the longest has four bytes."""

START = 0
"""Not inside a character."""
REJECTED = 9

# State, first and last byte that it can go on with, and the state after it.
_SYNTAX = (
    (START, 0x20, 0x7E, START),
    (START, 0xC2, 0xC2, 8),
    (START, 0xC3, 0xDF, 1),
    (START, 0xE0, 0xE0, 4),
    (START, 0xE1, 0xEC, 2),
    (START, 0xED, 0xED, 5),
    (START, 0xEE, 0xEF, 2),
    (START, 0xF0, 0xF0, 6),
    (START, 0xF1, 0xF3, 3),
    (START, 0xF4, 0xF4, 7),
    (START, OTHER, OTHER, START),
    (1, 0x80, 0xBF, START),
    (2, 0x80, 0xBF, 1),
    (3, 0x80, 0xBF, 2),
    (4, 0xA0, 0xBF, 1),  # after E0: nothing that two bytes could spell
    (5, 0x80, 0x9F, 1),  # after ED: no surrogates
    (6, 0x90, 0xBF, 2),  # after F0: nothing that three bytes could spell
    (7, 0x80, 0x8F, 2),  # after F4: nothing beyond U+10FFFF
    (8, 0xA0, 0xBF, START),  # after C2: no control characters
)


def _transitions() -> Int[np.ndarray, "10 257"]:
    table = np.full((REJECTED + 1, OTHER + 1), REJECTED)
    for state, first, last, after in _SYNTAX:
        table[state, first : last + 1] = after
    return table


_NEXT = _transitions()
_RESUMED = np.where(
    _NEXT == REJECTED, np.where(_NEXT[START] == REJECTED, START, _NEXT[START]), _NEXT
)
"""The state after anything: bytes that spell nothing are passed over."""


class Spelling:
    """The bytes among the pieces of one vocabulary."""

    def __init__(self, bytes_of: Int[np.ndarray, " V"]) -> None:
        """`bytes_of` is the value of each piece that is a byte, and `OTHER` for every other."""
        self._bytes = np.append(bytes_of, OTHER)  # −1, where there is no piece, is the last one
        self._begins = _NEXT[START, self._bytes] != REJECTED

    def states(self, past: Int[np.ndarray, "R T"]) -> Int[np.ndarray, " R"]:
        """Where in a character each row is after its tokens, `START` where in none.

        `past` is aligned to the right; a row that is shorter begins with −1.
        """
        newest = self._bytes.take(past[:, -LOOKBACK:])
        state = np.full(past.shape[0], START)
        if (newest == OTHER).all():  # nearly always
            return state
        for column in newest.T:
            state = _RESUMED[state, column]
        return state

    def allows(
        self, states: Int[np.ndarray, " R"], tokens: Int[np.ndarray, "R C"]
    ) -> Bool[np.ndarray, "R C"]:
        """Which of these may come next."""
        if not states.any():
            begins: Bool[np.ndarray, "R C"] = self._begins.take(tokens)
            return begins
        allowed: Bool[np.ndarray, "R C"] = (
            _NEXT[states[:, None], self._bytes.take(tokens)] != REJECTED
        )
        return allowed

    def all_allowed(self, states: Int[np.ndarray, " R"]) -> Bool[np.ndarray, "R V"]:
        """Which of all pieces may come next."""
        allowed: Bool[np.ndarray, "R V"] = _NEXT[states][:, self._bytes[:-1]] != REJECTED
        return allowed
