"""Names and numbers become others, the same on both sides, and nothing else changes."""

import re
from random import Random

import pytest

from training.corpus import Pair
from training.made_up_names import ACCENTED, VOWELS, NameMaker, with_made_up_names

NAMES = (
    *("Anna", "Bernard", "Chloe", "Daniel", "Elodie", "Fabrice", "Gustave", "Helena", "Isidore"),
    *("Julian", "Katrin", "Leonard", "Margot", "Nathan", "Olivia", "Pascal", "Quentin", "Robert"),
    *("Sylvia", "Thomas", "Ursula", "Victor"),
)
CORPUS = [Pair(f"I saw {name} there.", f"J'y ai vu {name}.") for name in NAMES]


@pytest.fixture(scope="module")
def maker():
    return NameMaker(CORPUS)


def test_a_name_is_another_on_both_sides(maker):
    pair = Pair("She told Olivia that it rained.", "Elle a dit à Olivia qu'il pleuvait.", "ours")
    others = [maker.with_other_names(pair, version) for version in range(40)]
    for other in others:
        here = re.fullmatch(r"She told (\w+) that it rained\.", other.source)
        there = re.fullmatch(r"Elle a dit à (\w+) qu'il pleuvait\.", other.target)
        assert here.group(1) == there.group(1) != "Olivia"
        assert other.origin == "ours"
    assert len({other.source for other in others}) > 35


def test_numbers_keep_their_digits_and_small_ones_stay(maker):
    pair = Pair("In 1987 he had 3 dogs and 007 cats.", "En 1987, il avait 3 chiens et 007 chats.")
    for version in range(20):
        other = maker.with_other_names(pair, version)
        here = re.fullmatch(r"In ([1-9]\d{3}) he had 3 dogs and (0\d\d) cats\.", other.source)
        there = re.fullmatch(r"En (\d{4}), il avait 3 chiens et (\d{3}) chats\.", other.target)
        assert here.groups() == there.groups()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("It rains in London.", "Il pleut à Londres."),
        ("Anna knows that Anna is late.", "Anna sait qu'elle est en retard."),
        ("He said so.", "Il l'a dit."),
        ("See file_12 and x86 and NASA.", "Voir file_12 et x86 et NASA."),
        ("3 cats", "3 chats"),
        ("東京です。", "東京です。"),
    ],
)
def test_what_is_no_name_of_both_sides_has_no_other_version(maker, source, target):
    assert maker.with_other_names(Pair(source, target), 0) is None


def test_a_name_begins_with_a_vowel_where_the_other_did(maker):
    """So `d'` and `an` stay right. Acronyms, which are all capitals, are left out here."""
    for name, vowel in (("Olivia", True), ("Robert", False)):
        pair = Pair(f"the dog of {name}", f"le chien de {name}")
        made = [maker.with_other_names(pair, version).source.split()[-1] for version in range(60)]
        initials = {word[0].lower() for word in made if not word.isupper()}
        assert len(initials) > 2
        assert all((initial in VOWELS) == vowel for initial in initials)


def test_names_are_of_parts_of_the_corpus_names_some_with_foreign_letters(maker):
    pair = Pair("Ask Robert.", "Demande à Robert.")
    made = [maker.with_other_names(pair, version).source[4:-1] for version in range(300)]
    foreign = set("".join(ACCENTED.values()))
    accented = [name for name in made if set(name) & foreign]
    assert 20 < len(accented) < 180
    assert 1 < sum(name.isupper() for name in made) < 60
    plain = [name for name in made if name not in accented and not name.isupper()]
    assert all(any(name.startswith(real[:2]) for real in NAMES) for name in plain)
    assert all(any(name.endswith(real[-1]) for real in NAMES) for name in plain)


def test_the_same_pair_gives_the_same_versions_whatever_came_before(maker):
    whole = list(with_made_up_names(CORPUS, maker, 2.0))
    assert len(whole) == 2 * len(CORPUS)
    shuffled = Random(1).sample(CORPUS, len(CORPUS))
    again = list(with_made_up_names(shuffled, NameMaker(shuffled), 2.0))
    assert sorted(map(str, again)) == sorted(map(str, whole))


@pytest.mark.parametrize(("versions", "fewest", "most"), [(0.5, 30, 70), (1.5, 130, 170)])
def test_a_part_of_the_pairs_gets_one_more(maker, versions, fewest, most):
    pairs = [Pair(f"{count + 100} of Anna", f"{count + 100} d'Anna") for count in range(100)]
    assert fewest <= len(list(with_made_up_names(pairs, maker, versions))) <= most


def test_a_corpus_with_few_names_has_not_enough():
    assert NameMaker(CORPUS).has_enough
    assert not NameMaker(CORPUS[:5]).has_enough


def test_one_kind_of_initial_in_the_whole_corpus_is_enough():
    maker = NameMaker([pair for pair in CORPUS if pair.source[6] not in "AEIOUH"])
    pair = Pair("Ask Olivia.", "Demande à Olivia.")
    assert maker.with_other_names(pair, 0).source != pair.source
