from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from model.words import Token, WordPieces, group_pieces, tokens_at, words
from tests.unicode_texts import NASTY_TEXTS, unicode_texts


def texts_of(text: str) -> list[str]:
    return [word.text for word in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sleeps.", ["The", "cat", "sleeps", "."]),
        ("I don't know; Anna's isn’t.", ["I", "don't", "know", ";", "Anna's", "isn’t", "."]),
        ("L’homme qu'il voit.", ["L’", "homme", "qu'", "il", "voit", "."]),
        ("Lorsqu’elle l’a dit aujourd’hui", ["Lorsqu’", "elle", "l’", "a", "dit", "aujourd’hui"]),
        ("quelqu'un presqu’île rock'n'roll", ["quelqu'un", "presqu’île", "rock'n'roll"]),
        ("O'Neil c'mon", ["O'Neil", "c'mon"]),
        ("well-known est-ce E-Mail-Adresse", ["well-known", "est-ce", "E-Mail-Adresse"]),
        ("« Où ? »\u202f!", ["«", "Où", "?", "»", "!"]),
        ("Wait... what?!", ["Wait", "...", "what", "?", "!"]),
        ("3.50 € 1,000 v2.0.1 1.", ["3.50", "€", "1,000", "v2.0.1", "1", "."]),
        ("-a- 'b'", ["-", "a", "-", "'", "b", "'"]),
        ("my_var(__init__)", ["my_var", "(", "__init__", ")"]),
        ("日本語ラーメン。", ["日", "本", "語", "ラ", "ー", "メ", "ン", "。"]),
        ("ง่าย", ["ง่", "า", "ย"]),
        ("한국어 ok日2", ["한국어", "ok", "日", "2"]),
        ("שלום, \u202bעולם\u202c!", ["שלום", ",", "עולם", "!"]),
        ("می\u200cخواهم soft\u00adhyphen", ["می\u200cخواهم", "soft\u00adhyphen"]),
        ("zero\u200bwidth", ["zero", "width"]),
        ("👩\u200d👩\u200d👧👍🏽", ["👩\u200d👩\u200d👧", "👍🏽"]),
        ("🇫🇷🇩🇪1\ufe0f\u20e3", ["🇫🇷", "🇩🇪", "1\ufe0f\u20e3"]),
        ("de\u0301ja\u0300 .\u0301.", ["de\u0301ja\u0300", ".\u0301", "."]),
        ("\ufeffa \u200d\u202c b", ["a", "\u200d\u202c", "b"]),
        ("\u0600\u0661 \u0600 a", ["\u0600\u0661", "\u0600", "a"]),
        ("क्षत्रिय नमस्ते", ["क्षत्रिय", "नमस्ते"]),
    ],
)  # fmt: skip
def test_words_are_what_the_module_says(text, expected):
    assert texts_of(text) == expected


@settings(max_examples=600)
@given(text=unicode_texts())
def test_words_slice_the_text_in_order_and_miss_nothing_visible(text):
    found = words(text)
    assert all(word.text == text[word.start : word.end] != "" for word in found)
    assert all(first.end <= second.start for first, second in pairwise(found))
    assert not any(character.isspace() for word in found for character in word.text)
    assert (found == []) == (text.strip() == "")
    missed = set(range(len(text))) - {i for word in found for i in range(word.start, word.end)}
    assert all(text[i].isspace() or regex.match(r"[\p{Cf}\p{Cc}]", text[i]) for i in missed)


@settings(max_examples=600)
@given(text=unicode_texts())
def test_no_word_cuts_a_grapheme_cluster(text):
    # Clusters with a space in them are the exception: white space is never in a word.
    inside = {
        position
        for cluster in regex.finditer(r"\X", text)
        if not regex.search(r"\s", cluster[0])
        for position in range(cluster.start() + 1, cluster.end())
    }
    assert inside.isdisjoint(edge for word in words(text) for edge in (word.start, word.end))


def test_a_long_row_of_flags_is_read_in_pairs():
    assert texts_of("🇫" * 10_001) == ["🇫🇫"] * 5_000 + ["🇫"]


def groups_of(text: str, spans: list[tuple[int, int]]) -> list[tuple[str, tuple[int, ...]]]:
    return [(group.token.text, group.pieces) for group in group_pieces(text, words(text), spans)]


def test_pieces_join_the_word_they_lie_in():
    assert groups_of("a bcd.", [(0, 1), (2, 4), (4, 5), (5, 6)]) == [
        ("a", (0,)),
        ("bcd", (1, 2)),
        (".", (3,)),
    ]


def test_an_empty_piece_joins_the_word_of_the_next():
    assert groups_of("a 日", [(0, 1), (2, 2), (2, 2), (2, 3)]) == [("a", (0,)), ("日", (1, 2, 3))]


def test_an_empty_piece_at_the_end_joins_the_last_word():
    assert groups_of("a b", [(0, 1), (2, 3), (3, 3)]) == [("a", (0,)), ("b", (1, 2))]


def test_a_piece_on_a_control_character_joins_the_word_of_the_next():
    assert groups_of("a \u202bb", [(0, 1), (2, 3), (3, 4)]) == [("a", (0,)), ("b", (1, 2))]


def test_words_that_share_a_piece_are_merged():
    assert group_pieces("l'eau.", words("l'eau."), [(0, 3), (3, 5), (5, 6)]) == [
        WordPieces(Token("l'eau", 0, 5), (0, 1), (0, 1)),
        WordPieces(Token(".", 5, 6), (2,), (2,)),
    ]


def test_pieces_that_chain_over_words_merge_them_all():
    assert groups_of("a,b,c", [(0, 2), (2, 4), (4, 5)]) == [("a,", (0,)), ("b,", (1,)), ("c", (2,))]
    assert groups_of("ab,cd", [(0, 1), (1, 4), (4, 5)]) == [("ab,cd", (0, 1, 2))]


def test_a_word_without_a_piece_has_no_group():
    assert groups_of("a b c", [(0, 1), (4, 5)]) == [("a", (0,)), ("c", (1,))]


def test_without_words_there_are_no_groups():
    assert groups_of(" ", [(1, 1)]) == []


def test_pieces_that_touch_no_word_make_one_group():
    assert groups_of("a b", [(0, 0), (3, 3)]) == [("a b", (0, 1))]


@settings(max_examples=600)
@given(text=unicode_texts())
def test_every_piece_is_in_exactly_one_word(joint_tokenizer, text):
    spans = joint_tokenizer.encode_with_spans(text).spans
    assert_groups_partition(text, spans)
    decoded = joint_tokenizer.decode_with_spans(joint_tokenizer.encode(text))
    assert_groups_partition(decoded.text, decoded.spans)


@settings(max_examples=200)
@given(ids=st.lists(st.integers(min_value=0, max_value=499), max_size=40))
def test_every_piece_of_any_hypothesis_is_in_exactly_one_word(joint_tokenizer, ids):
    decoded = joint_tokenizer.decode_with_spans(ids)
    assert_groups_partition(decoded.text, decoded.spans)


def assert_groups_partition(text, spans):
    found = words(text)
    groups = group_pieces(text, found, spans)
    if found:
        assert [piece for group in groups for piece in group.pieces] == list(range(len(spans)))
    else:
        assert groups == []
    used = [word for group in groups for word in group.words]
    assert used == sorted(set(used))
    for group in groups:
        assert group.pieces
        assert group.token.text == text[group.token.start : group.token.end]
        assert group.token.start == found[group.words[0]].start
        assert group.token.end == found[group.words[-1]].end


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_tokens_at_piece_spans_slice_the_text(joint_tokenizer, text):
    spans = joint_tokenizer.encode_with_spans(text).spans
    assert [(token.start, token.end) for token in tokens_at(text, spans)] == list(spans)
    assert all(token.text == text[token.start : token.end] for token in tokens_at(text, spans))
