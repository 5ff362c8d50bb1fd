"""No run of tokens comes again and again: a decoder that has lost its place repeats itself.

A recurrent decoder with attention has no memory of what it has translated but its state, and on
long or unfamiliar sentences it goes round in circles (Tu et al. 2016, "Modeling coverage for neural
machine translation"). Here a run of n tokens is not written again (Paulus et al. 2018, section 2.5,
who did it for summaries), unless the source repeats itself too: markup, lists and refrains do.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int


def most_repeated(source: Sequence[int]) -> int:
    """How often the run of two tokens comes that a source, with its EOS, repeats most; at least 1.

    So often may a longer run come in the target.
    """
    runs = Counter(pairwise(source[:-1]))
    return max(runs.values(), default=1)


def repeats(
    past: Int[np.ndarray, "R T"],
    tokens: Int[np.ndarray, "R C"],
    size: Int[np.ndarray, " R"],
    limit: Int[np.ndarray, " R"],
) -> Bool[np.ndarray, "R C"]:
    """Which continuations would complete a run of `size` tokens for more than the `limit`-th time.

    `past` holds the tokens of each row, aligned to the right and filled up with −1; a `size` of 0
    forbids nothing.
    """
    repeating = np.zeros(tokens.shape, dtype=np.bool_)
    for length in set(size.tolist()) - {0}:
        if past.shape[1] < length:
            continue
        begun = _begun(past, length)
        if not begun.any():  # nearly always
            continue
        begun &= (size == length)[:, None]
        for row in np.flatnonzero(begun.any(axis=1)).tolist():
            followers = past[row, np.flatnonzero(begun[row]) + length - 1]
            counts = (tokens[row][:, None] == followers).sum(axis=1)
            repeating[row] |= counts >= limit[row]
    return repeating


def _begun(past: Int[np.ndarray, "R T"], length: int) -> Bool[np.ndarray, "R P"]:
    """Where the newest `length` − 1 tokens of each row stood before."""
    places = past.shape[1] - length + 1
    begun = np.ones((past.shape[0], places), dtype=np.bool_)
    for step in range(length - 1):
        newest = past[:, places + step, None]
        begun &= past[:, step : step + places] == newest
    return begun & (past[:, :places] >= 0)
