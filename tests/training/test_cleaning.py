"""Every pair that is read is kept or dropped for one stated reason."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from training.cleaning import clean, normalise
from training.cleaning_report import REASONS, CleaningReport
from training.config import CleaningConfig
from training.corpus import Pair

sentences = st.text(st.sampled_from("ab \t\u2028\x07é"), max_size=12)


def run(pairs, **settings):
    report = CleaningReport()
    kept = list(clean([Pair(*pair) for pair in pairs], CleaningConfig(**settings), report))
    return kept, report


def test_white_space_is_folded_and_control_characters_go():
    assert normalise(" a\u00a0\u202f b\u2028c\x07\t\n ") == "a b c"


def test_each_reason_is_counted():
    pairs = [
        ("Hello.", "Bonjour."),
        ("Hello.", " Bonjour.\u00a0"),
        ("", "x"),
        ("x", "\u2028"),
        ("x" * 101, "y" * 101),
        ("x", "y" * 90),
        ("same", "same"),
    ]
    kept, report = run(pairs, max_characters=100, drop_identical=True)
    assert kept == [Pair("Hello.", "Bonjour.")]
    assert report.kept == 1
    assert report.dropped == {"duplicate": 1, "empty": 2, "too_long": 1, "ratio": 1, "identical": 1}


def test_short_answers_survive_the_ratio():
    kept, _ = run([("Hi!", "Bonjour à toutes et à tous !")])
    assert len(kept) == 1


def test_one_source_may_have_two_translations():
    kept, _ = run([("Hi.", "Salut."), ("Hi.", "Bonjour.")])
    assert len(kept) == 2


def test_switched_off_nothing_but_empty_pairs_is_changed():
    pairs = [(" a ", "a  b"), (" a ", "a  b"), ("", "b")]
    kept, report = run(pairs, normalise=False, deduplicate=False)
    assert kept == [Pair(" a ", "a  b")] * 2
    assert report.dropped == {"empty": 1}


@given(st.lists(st.tuples(sentences, sentences)))
def test_the_account_is_exact(pairs):
    kept, report = run(pairs, max_characters=8, drop_identical=True)
    assert report.kept == len(kept)
    assert report.kept + sum(report.dropped.values()) == len(pairs)
    assert report.dropped.keys() <= REASONS.keys()


def test_the_table_shows_what_was_dropped_and_why():
    _, report = run([("a", "b"), ("", "b"), ("a", "")])
    report.read = 3
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report.table("Training pairs"))
    text = console.export_text()
    assert "a side is empty or white space" in text
    assert "66.67%" in text
    assert "max_ratio" not in text
