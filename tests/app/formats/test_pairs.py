import pytest

from app.formats.aligned import FormatOptions
from app.formats.pairs import azure_proj, pharaoh
from app.schemas import AlignmentRequest
from model.words import Token
from tests.app.formats import aligned_texts as texts


def asked(**options) -> FormatOptions:
    return FormatOptions(alignment=AlignmentRequest(**options))


def test_pharaoh_has_the_source_first_and_a_line_for_each_segment():
    assert pharaoh(texts.SMALL, FormatOptions()) == b"0-0 1-1 2-2 3-3\n"
    assert pharaoh(texts.SMALL, asked(threshold=0.25)) == b"0-0 1-1 1-2 2-2 3-3\n"
    assert pharaoh(texts.two_segments(), FormatOptions()).count(b"\n") == 2


def test_pharaoh_keeps_the_line_of_a_segment_without_links():
    assert pharaoh(texts.EMPTY, FormatOptions()) == b"\n"


def test_azure_ranges_are_inclusive_at_both_ends():
    assert azure_proj(texts.SMALL, FormatOptions()) == b"0:2-0:1 4:6-3:6 8:13-8:11 14:14-12:12\n"


def test_azure_ranges_of_a_second_segment_are_those_of_the_document():
    aligned = texts.two_segments()
    last = azure_proj(aligned, FormatOptions()).decode().split()[-1]
    source, target = ([int(end) for end in side.split(":")] for side in last.split("-"))
    assert aligned.source[source[0] : source[1] + 1] == "!"
    assert aligned.target[target[0] : target[1] + 1] == "!"


@pytest.mark.parametrize(
    ("encoding", "emoji"), [("utf-32", "0:0-0:0"), ("utf-16", "0:1-0:1"), ("utf-8", "0:3-0:3")]
)
def test_azure_ranges_count_in_the_asked_unit(encoding, emoji):
    aligned = texts.aligned("🍕 a", "🍕 b")
    assert azure_proj(aligned, asked(offset_encoding=encoding)).decode().split()[0] == emoji


def test_tokens_without_characters_have_no_azure_range():
    pieces = (Token("", 0, 0), Token("🍕", 0, 1))
    aligned = texts.text("🍕", "🍕", "en fr", texts.segment(pieces, pieces, level="piece"))
    assert azure_proj(aligned, FormatOptions()) == b"0:0-0:0\n"
