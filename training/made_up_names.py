"""Pairs once more with made-up names and numbers, from which a network learns to copy.

A name that a corpus never held is a sequence of pieces that the network has never written one
after the other, so it writes something else. What stands for a name in the sentence hardly matters
to the rest of it: with another one, alike on both sides, a pair is as good as it was, and copying
is the only way to get it right. After Fadaee et al. 2017, "Data augmentation for low-resource
neural machine translation", who put rare words into new contexts on both sides; here the words are
made from parts of the corpus's own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from random import Random

from training.cleaning import pair_hash
from training.corpus import Pair

POOL_PAIRS = 200_000
"""Pairs of whose names others are made; bounds the memory."""
FEWEST_NAMES = 20
"""Different names below which those made of their parts would be too much alike."""
ACCENTED_SHARE = 0.3
"""Share of the names that get a letter of another alphabet than the corpus's, so that spelling in
bytes is learned too."""
ACRONYM_SHARE = 0.05
SHORTEST_NAME = 4
"""Letters of a name of which parts are taken."""
LONGEST_PART = 6
"""Letters of such a part."""
VOWELS = frozenset("aeiouyh")
"""First letters before which articles and prepositions change (`an`, `l'`, `d'`)."""
ACCENTED = {
    "a": "áàâäãåāăą",
    "c": "çćč",
    "d": "ďđð",
    "e": "éèêëēėęě",
    "g": "ğģ",
    "i": "íìîïīı",
    "k": "ķ",
    "l": "łľļ",
    "n": "ñńňņ",
    "o": "óòôöõøőō",
    "r": "řŕ",
    "s": "śšşșß",
    "t": "ťţțþ",
    "u": "úùûüůűūų",
    "y": "ýÿ",
    "z": "žźż",
}
"""Latin letters that European names are spelt with."""

# A capital and small letters, or two digits or more, by themselves: no part of `file_2` or `x86`.
_NAME = re.compile(r"(?<![\w])(?:[^\W\d_][^\W\d_]+|\d{2,})(?![\w])")


class NameMaker:
    """Makes names out of a corpus's own: capitalised words that stand on both sides of a pair."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        names = {
            word
            for pair in islice(pairs, POOL_PAIRS)
            for word in names_of_both(pair)
            if len(word) >= SHORTEST_NAME and not word.isdigit()
        }
        # Sorted, since the order of a set differs from process to process.
        self._names = sorted(names)
        self._beginnings = {
            vowel: [name for name in self._names if _begins_with_vowel(name) == vowel]
            or self._names
            for vowel in (False, True)
        }

    @property
    def has_enough(self) -> bool:
        """Whether there are names enough (sides that share no script with capitals have none)."""
        return len(self._names) >= FEWEST_NAMES

    def with_other_names(self, pair: Pair, version: int) -> Pair | None:
        """The pair with every name and number that both sides have once made another, if any.

        What is made is a function of the pair and of the number of the version alone.
        """
        shared = names_of_both(pair)
        if not shared:
            return None
        random = Random(f"{pair_hash(pair)} {version}")  # noqa: S311 - no secret
        others = {
            word: _other_number(word, random) if word.isdigit() else self._other_name(word, random)
            for word in sorted(shared)
        }
        return with_names(pair, others)

    def _other_name(self, word: str, random: Random) -> str:
        """Another word for `word`, which begins with a vowel if that does, where one can be had."""
        if random.random() < ACRONYM_SHARE:
            return "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=random.randint(2, 5)))
        first = random.choice(self._beginnings[_begins_with_vowel(word)])
        second = random.choice(self._names)
        head = first[: random.randint(2, min(len(first), LONGEST_PART))]
        tail = second[-random.randint(1, min(len(second) - 1, LONGEST_PART)) :]
        name = head + tail
        return _accented(name, random) if random.random() < ACCENTED_SHARE else name


def is_capitalised(word: str) -> bool:
    """Whether a word of two letters or more is written with a capital and small letters."""
    return word[0].isupper() and word[1:].islower()


def _begins_with_vowel(word: str) -> bool:
    return word[0].lower() in VOWELS


def names_of_both(pair: Pair) -> set[str]:
    """Capitalised words and numbers of two digits or more that both sides have exactly once."""
    return _once(pair.source) & _once(pair.target)


def with_names(pair: Pair, others: Mapping[str, str]) -> Pair:
    """The pair with the names that are keys of `others` replaced on both sides."""

    def replaced(text: str) -> str:
        return _NAME.sub(lambda match: others.get(match.group(), match.group()), text)

    return replace(pair, source=replaced(pair.source), target=replaced(pair.target))


def _once(text: str) -> set[str]:
    """Names and numbers that a text has exactly once."""
    counts = Counter(match.group() for match in _NAME.finditer(text))
    return {
        word
        for word, count in counts.items()
        if count == 1 and (word.isdigit() or is_capitalised(word))
    }


def _other_number(number: str, random: Random) -> str:
    """As many digits; a first digit that is no zero stays none."""
    first = number[0] if number[0] == "0" else random.choice("123456789")
    return first + "".join(random.choices("0123456789", k=len(number) - 1))


def _accented(name: str, random: Random) -> str:
    places = [index for index, letter in enumerate(name) if index and letter in ACCENTED]
    if not places:
        return name
    place = random.choice(places)
    return name[:place] + random.choice(ACCENTED[name[place]]) + name[place + 1 :]


def with_made_up_names(pairs: Iterable[Pair], maker: NameMaker, versions: float) -> Iterator[Pair]:
    """Yield `versions` others of each pair that has a name or a number on both sides.

    What is left of `versions` beyond a whole number is the share of such pairs that get one more.
    """
    for pair in pairs:
        count = int(versions)
        # No state between pairs, so that what is made of one does not depend on those before it.
        count += Random(pair_hash(pair)).random() < versions - count  # noqa: S311 - no secret
        for version in range(count):
            if other := maker.with_other_names(pair, version):
                yield other
