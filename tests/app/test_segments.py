import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.segments import group_words, read_sentences, translatable_sentences
from tests.unicode_texts import unicode_texts


@given(text=unicode_texts(), limit=st.integers(8, 40))
def test_sentences_are_parts_of_the_text_with_white_space_between(joint_tokenizer, text, limit):
    end = 0
    for sentence in read_sentences(text, "en", joint_tokenizer, limit):
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.start >= end
        gap = text[end : sentence.start]
        assert gap.isspace() or not joint_tokenizer.encode(gap)
        end = sentence.end
        assert sentence.words
        assert sorted(piece for word in sentence.words for piece in word.pieces) == list(
            range(len(sentence.pieces))
        )


@pytest.mark.parametrize(
    "text",
    [
        "The cat sleeps on the sofa, the dog sleeps on the floor, and nobody is awake any more.",
        "Donaudampfschifffahrtsgesellschaftskapitän" * 3,
        "😀👩‍👩‍👧" * 20,
    ],
)
def test_a_sentence_of_too_many_pieces_is_parted_and_says_so(joint_tokenizer, text):
    parts = read_sentences(text, "en", joint_tokenizer, 24)
    assert len(parts) > 1
    assert all(part.split for part in parts)
    assert all(len(part.encoded.ids) < 24 for part in parts)
    assert "".join(part.text for part in parts).replace(" ", "") == text.replace(" ", "")


def test_what_has_no_letter_and_no_digit_is_not_translated(joint_tokenizer):
    text = "Yes.\n* * *\n😀 ?!\n3\n👍🏽\nIt's 😀.\n"
    sentences = translatable_sentences(text, "en", joint_tokenizer, 64)
    assert [sentence.text for sentence in sentences] == ["Yes.", "3", "It's 😀."]


def test_a_sentence_that_fits_is_whole(joint_tokenizer):
    [sentence] = read_sentences(" The cat sleeps.\n", "en", joint_tokenizer, 64)
    assert (sentence.start, sentence.end, sentence.split) == (1, 16, False)


def test_pieces_of_a_text_without_a_word_are_one_token():
    [token] = group_words("  ", [(0, 0), (1, 1)])
    assert token.pieces == (0, 1)
    assert group_words("  ", []) == []
