"""Pairs with a rare name that the other language writes otherwise, more often than once.

`Greece` becomes `Grèce`, but a corpus may say so six times only, and thousands of times that a
capitalised word stays as it is. With joint pieces copying is what a network then learns of all
such words. Repeating the pairs from which it could know better weighs one against the other (as
languages of few pairs are weighed up in Arivazhagan et al. 2019, "Massively multilingual neural
machine translation in the wild", section 4.1, there to a power of their share).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from training.corpus import Pair
from training.made_up_names import is_capitalised

MOST_REPETITIONS = 9
"""Of one pair, however rare its names: a word that is misspelt once is no name."""
MOST_CAPITALISED = 0.1
"""Share of capitalised words above which a language writes more than names so, as German does."""

# Letters by themselves: no part of `MyClass` or `Some_Name`.
_WORD = re.compile(r"(?<![\w])[^\W\d_][^\W\d_]+(?![\w])")
_SENTENCE_ENDS = frozenset('.!?…:;"“”«»([-–—')
"""What a capital may follow for no other reason than that a sentence or a title begins."""


class RareNames:
    """Counts in how many pairs each name of a side is written otherwise on the other."""

    def __init__(self, pairs: Iterable[Pair], enough: int) -> None:
        """A name is rare that fewer than `enough` pairs have."""
        self._enough = enough
        self._sides = (_Side(), _Side())
        for pair in pairs:
            for side, (here, there) in zip(self._sides, _both_ways(pair), strict=True):
                side.count(here, there)

    def repetitions(self, pair: Pair) -> int:
        """How many more times a pair may stand with its rarest name in at most `enough` pairs."""
        seen = [
            count
            for side, (here, there) in zip(self._sides, _both_ways(pair), strict=True)
            for count in side.counts(here, there)
            if count < self._enough
        ]
        return min(MOST_REPETITIONS, self._enough // min(seen) - 1) if seen else 0


class _Side:
    """The names of one language in a corpus."""

    def __init__(self) -> None:
        self._otherwise: Counter[str] = Counter()
        self._alike: Counter[str] = Counter()
        self._words = self._capitalised = 0

    def count(self, here: str, there: str) -> None:
        inside = _words_inside(here)
        names = set(filter(is_capitalised, inside))
        self._words += len(inside)
        self._capitalised += sum(map(is_capitalised, inside))
        if names:
            alike = names.intersection(_WORD.findall(there))
            self._alike.update(alike)
            self._otherwise.update(names - alike)

    def counts(self, here: str, there: str) -> list[int]:
        """How often the corpus has each name in `here` that `there` has not.

        Names that most pairs have on both sides are not among them: one of those was left out, or
        is a pronoun there.
        """
        if self._capitalised > MOST_CAPITALISED * self._words:
            return []
        names = set(filter(is_capitalised, _words_inside(here)))
        return [
            self._otherwise[name]
            for name in names.difference(_WORD.findall(there) if names else ())
            if self._alike[name] < self._otherwise[name]
        ]


def repeated(pairs: Iterable[Pair], rare: RareNames) -> Iterator[Pair]:
    """Yield each pair as many times as its rare names ask for."""
    for pair in pairs:
        for _ in range(rare.repetitions(pair)):
            yield pair


def _both_ways(pair: Pair) -> tuple[tuple[str, str], tuple[str, str]]:
    return (pair.source, pair.target), (pair.target, pair.source)


def _words_inside(text: str) -> list[str]:
    """Words that begin no sentence."""
    return [
        match.group()
        for match in _WORD.finditer(text)
        if (before := text[: match.start()].rstrip()) and before[-1] not in _SENTENCE_ENDS
    ]
