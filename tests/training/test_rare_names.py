"""Pairs come again for names that the other language writes otherwise, and for nothing else."""

import pytest

from training.corpus import Pair
from training.rare_names import MOST_REPETITIONS, RareNames, repeated

GREECE = Pair("We saw Greece again.", "Nous avons revu la Grèce.")
TOM = Pair("We saw Tom again.", "Nous avons revu Tom.")
OTHERS = [Pair(f"There were {n} of us here.", f"Nous étions {n} ici.") for n in range(20)]


def times(corpus, pair, enough=6):
    return RareNames(corpus, enough).repetitions(pair)


def test_a_rare_name_is_repeated_until_it_is_seen_enough():
    corpus = [GREECE, TOM, *OTHERS]
    assert times(corpus, GREECE) == 5
    assert times([GREECE, *corpus], GREECE) == 2  # three times two are six
    assert times([GREECE] * 5 + corpus, GREECE) == 0
    assert times(corpus, TOM) == times(corpus, OTHERS[0]) == 0


def test_nothing_is_repeated_without_end():
    assert times([GREECE, *OTHERS], GREECE, enough=10_000) == MOST_REPETITIONS


def test_the_rarest_name_decides():
    both = Pair("We saw Greece and Egypt.", "Nous avons vu la Grèce et l'Égypte.")
    corpus = [both, GREECE, GREECE, GREECE, *OTHERS]
    assert times(corpus, both) == 5


@pytest.mark.parametrize(
    "source",
    ["Greece is here.", "Look! Greece is here.", "“Greece” is here.", "I like MyGreece.", "I ran."],
)
def test_what_begins_a_sentence_or_is_part_of_a_word_is_no_name(source):
    pair = Pair(source, "c'est bien là.")
    assert times([pair, *OTHERS], pair) == 0


def test_a_name_that_most_pairs_share_was_only_left_out_once():
    left_out = Pair("We saw Tom again.", "Nous l'avons revu.")
    assert times([left_out, TOM, *OTHERS], left_out) == 0
    assert times([left_out, *OTHERS], left_out) == 5


def test_names_of_the_target_count_as_those_of_the_source():
    back = Pair(GREECE.target, GREECE.source)
    assert times([back, *OTHERS], back) == 5
    month = Pair("It was cold in June.", "il faisait froid en juin.")
    for pair in (month, Pair(month.target, month.source)):
        assert times([pair, *OTHERS], pair) == 5


def test_capitals_are_no_names_where_a_language_writes_them_for_much_else():
    nouns = [
        Pair(f"the dog is in room {n} now.", f"jetzt ist der Hund im Zimmer {n}.")
        for n in range(20)
    ]
    noun = Pair("he lost his key here.", "er hat hier den Schlüssel verloren.")
    assert times([noun, *nouns], noun) == 0
    name = Pair("we were in Greece.", "wir waren in Griechenland.")
    assert times([name, *nouns], name) == 5  # by its English side


def test_repetitions_are_the_pairs_themselves_in_their_order():
    corpus = [OTHERS[0], GREECE, TOM, *OTHERS[1:]]
    assert list(repeated(corpus, RareNames(corpus, 4))) == [GREECE] * 3
