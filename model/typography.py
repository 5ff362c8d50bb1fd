"""Characters that a vocabulary hardly knows, and the plain ones it knows them by.

Writers use `'` and `’` alike, and so do corpora, but few use both equally: what a model has seen a
hundred times less often it has not learned. Each replacement is one character for one, so offsets
stay as they are.
"""

import math
from collections import defaultdict
from collections.abc import Iterable

VARIANTS = (
    ("’", "'"),
    ("‘", "'"),
    ("‚", "'"),
    ("ʼ", "'"),
    ("'", "’"),
    ("“", '"'),
    ("”", '"'),
    ("„", '"'),
    ("‟", '"'),
    ("‐", "-"),
    ("‑", "-"),
    ("−", "-"),
)
"""A character and one that may stand for it."""

RARITY = 10.0
"""How many times as likely the second must be in the vocabulary before it stands for the first."""


def replacements(vocabulary: Iterable[tuple[str, float]]) -> dict[int, str]:
    """What to hand to `str.translate` before a text is cut into pieces; maybe empty.

    `vocabulary` holds the pieces of a unigram model with their log-probabilities (Kudo 2018, §3.2).
    How likely a character is in its corpus is judged by the pieces it stands in.
    """
    likelihood: defaultdict[str, float] = defaultdict(float)
    for piece, score in vocabulary:
        for character in set(piece):
            likelihood[character] += math.exp(score)
    return {
        ord(rare): known
        for rare, known in VARIANTS
        if likelihood[known] > 0 and likelihood[known] >= RARITY * likelihood[rare]
    }
