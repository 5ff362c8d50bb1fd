import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sentences import Segment, split_sentences
from tests.unicode_texts import NASTY_TEXTS, unicode_texts

LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
LANGUAGES = ["en", "fr", "de", "ja", "xx"]
SNIPPETS = [
    *("Mr. X", "M. Dupont", "J. K.", "1.", "etc.", "Oui", "non", "« Ah ! »", "“No.”", "。", "？"),
    *(". ", "! ", "?\u202f", "… ", ", ", "\n", "\r\n", "\u2028", "\u00a0", "  ", "\t", "B\u00a0."),
]
SENTENCES = st.lists(st.one_of(st.sampled_from(SNIPPETS), unicode_texts(8)), max_size=20).map(
    "".join
)


def sentences(text: str, language: str = "en", limit: int | None = None) -> list[str]:
    return [text[s.start : s.end] for s in split_sentences(text, language, limit)]


def assert_rebuilt(text: str, segments: list[Segment]) -> None:
    rebuilt, position = "", 0
    for segment in segments:
        gap = text[position : segment.start]
        assert gap == "" or gap.isspace()
        assert segment.start < segment.end
        part = text[segment.start : segment.end]
        assert part == part.strip()
        assert not set(part) & set(LINE_ENDS)
        rebuilt += gap + part
        position = segment.end
    assert text[position:].strip() == ""
    assert rebuilt + text[position:] == text


@settings(max_examples=600)
@given(text=SENTENCES, language=st.sampled_from(LANGUAGES))
def test_segments_and_gaps_rebuild_any_text(text, language):
    segments = split_sentences(text, language)
    assert_rebuilt(text, segments)
    assert not any(segment.split for segment in segments)


@settings(max_examples=600)
@given(
    text=SENTENCES,
    language=st.sampled_from(LANGUAGES),
    limit=st.integers(min_value=1, max_value=30),
)
def test_no_part_is_over_the_limit_and_all_parts_are_marked(text, language, limit):
    whole = split_sentences(text, language)
    parts = split_sentences(text, language, limit)
    assert_rebuilt(text, parts)
    assert all(segment.end - segment.start <= limit for segment in parts)
    short = [segment for segment in whole if segment.end - segment.start <= limit]
    assert [segment for segment in parts if not segment.split] == short


@settings(max_examples=300)
@given(text=unicode_texts(80))
def test_a_long_sentence_is_not_cut_inside_a_grapheme_that_fits(text):
    limit = 12
    clusters = [match.span() for match in regex.finditer(r"\X", text)]
    starts = {segment.start for segment in split_sentences(text, "en", limit)}
    for start, end in clusters:
        if end - start <= limit and not regex.search(r"\s", text[start:end]):
            assert starts.isdisjoint(range(start + 1, end))


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_texts_are_rebuilt(text):
    for limit in (None, 1, 7):
        assert_rebuilt(text, split_sentences(text, "en", limit))


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["The cat sleeps.", "The dog barks!", "Why?"]),
        ("en", ["Mr. and Mrs. Jones left at 5 p.m. on Monday.", "They went home."]),
        ("en", ["J. K. Rowling met George W. Bush.", "So did I.", "He smiled."]),
        ("en", ["See Fig. 3 and No. 5.", "No.", "He left, e.g. John did."]),
        ("en", ["The U.S. Senate met.", "It costs $3.50.", "Cheap!"]),
        ("en", ["“I see.”", "She left (at noon.)", "He asked: “Why?” and sat down."]),
        ("en", ["Wait… what?", "No way... really?", "What?!", "Yes..."]),
        ("en", ["Read https://a.example/x?y=1.z now.", "Version 2.0.1 is out."]),
        ("en", ["1. First item.", "2. Second item.", "A. Third."]),
        ("en-GB", ["Dr. Who is here.", "👩\u200d👩\u200d👧 Fine!", "🇫🇷 Good."]),
        ("fr", ["M. Dupont est là.", "Mme. Durand et le Dr. Martin aussi."]),
        ("fr", ["« Bonjour ! » dit-il.", "« Oui. »", "Elle partit\u202f!", "– Non ?", "Si."]),
        ("fr", ["Il est né en 44 av. J.-C. à Rome.", "Voir p. 5 et art. 3.", "Fin."]),
        ("fr", ["« Non\u00a0!\u00a0»", "Des chats, des chiens, etc.", "Ensuite il part."]),
        ("de", ["Am 3. Oktober kam er.", "Z.B. Äpfel, d.h. Obst.", "Dr. Müller auch."]),
        ("de", ["„Komm!“, sagte er.", "„Nein.“", "Das kostet ca. 5 Euro."]),
        ("hi", ["वह घर गया।", "क्यों?"]),
        ("ar", ["أين القط؟", "هنا."]),
    ],
)
def test_sentences_of(language, expected):
    assert sentences(" ".join(expected), language) == expected
    assert sentences("  " + "\u2003\t".join(expected) + " ", language) == expected


def test_scripts_without_spaces_are_split_at_their_own_marks():
    assert sentences("日本語。「これは。」それは？はい", "ja") == [
        "日本語。",
        "「これは。」",
        "それは？",
        "はい",
    ]


@pytest.mark.parametrize("line_end", [*LINE_ENDS, "\r\n", "\n\n", " \n\t\n "])
def test_a_line_end_always_ends_a_segment(line_end):
    text = f"no full stop{line_end}and lower case"
    assert sentences(text) == ["no full stop", "and lower case"]


@pytest.mark.parametrize("text", ["", " ", "\n\u00a0\t\u3000\n"])
def test_blank_text_has_no_segments(text):
    assert split_sentences(text, "en") == []


def test_a_long_sentence_is_parted_after_a_clause():
    text = "When the small cat sleeps, the big dog eats the cake; then it goes home."
    assert sentences(text, limit=32) == [
        "When the small cat sleeps,",
        "the big dog eats the cake;",
        "then it goes home.",
    ]


def test_a_clause_in_the_first_half_is_no_better_than_a_space():
    assert sentences("Yes, the small cat sleeps well", limit=20) == [
        "Yes, the small cat",
        "sleeps well",
    ]


def test_a_word_longer_than_the_limit_is_cut_between_graphemes():
    assert sentences("e\u0301" * 5, limit=5) == ["e\u0301" * 2, "e\u0301" * 2, "e\u0301"]
    assert sentences("🇫🇷" * 3, limit=3) == ["🇫🇷"] * 3


def test_a_grapheme_longer_than_the_limit_is_cut_all_the_same():
    text = "a" + "\u0301" * 9
    segments = split_sentences(text, "en", 4)
    assert [segment.end for segment in segments] == [4, 8, 10]
    assert_rebuilt(text, segments)


def test_parts_are_marked_and_whole_sentences_are_not():
    text = "Short. This one is too long. Short."
    marks = [segment.split for segment in split_sentences(text, "en", 12)]
    assert marks == [False, True, True, False]


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="max_characters is 0; it must be at least 1"):
        split_sentences("a", "en", 0)
