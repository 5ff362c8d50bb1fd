import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats.labels import EMPTY, clip, directed, is_right_to_left, text_width, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("", EMPTY),
        (" ", "␣"),
        (" \n", "␣↵"),
        ("a\tb", "a b"),
        ("a\x01", "a␁"),
        ("\x7f\x85\ufffe", "␡\ufffd\ufffd"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["cat"], False),
        (["قط"], True),
        (["10", "(", "ש"], True),
        (["10", "a", "ש"], False),
        ([], False),
    ],
)
def test_the_first_letter_gives_the_direction(texts, answer):
    assert is_right_to_left(texts) is answer


def test_what_stands_between_right_to_left_words_is_ordered_as_they_are():
    isolated = "\u2067(\u2069"
    assert directed("(", right_to_left=True) == isolated
    assert directed("(", right_to_left=False) == "("
    assert directed("cat", right_to_left=True) == "cat"
    assert directed("שלום!", right_to_left=False) == "\u2067שלום!\u2069"


def test_widths_are_those_of_the_font():
    assert text_width("iiii", 10) < text_width("mmmm", 10) < 40
    assert text_width("猫", 10) >= 10
    assert text_width("e\u0301", 10) == text_width("e", 10)


@given(st.text(max_size=60), st.floats(20, 200))
def test_a_clipped_label_fits_and_says_that_it_is_clipped(text, most):
    label = visible(text)
    clipped = clip(label, 13, most)
    assert text_width(clipped, 13) <= most + 1e-9
    assert clipped == label or (clipped.endswith("…") and label.startswith(clipped[:-1]))


def test_a_label_is_never_cut_inside_a_character():
    family = "👨\u200d👩\u200d👧\u200d👦"
    assert clip(family * 3, 13, text_width(family, 13) * 1.5) == family + "…"
