import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bulk.lines import LineReader


def read(raw, window=3, most=10):
    reader = LineReader(io.BytesIO(raw), most)
    lines = []
    while found := reader.window(window):
        assert len(found) <= window
        lines += found
    assert reader.offset == len(raw)
    assert reader.digest == hashlib.sha256(raw).hexdigest()
    return lines


@pytest.mark.parametrize(
    ("raw", "text", "problem"),
    [
        (b"Yes.", "Yes.", None),
        (b"Yes.\r", "Yes.", None),
        ("é" * 10, "é" * 10, None),
        ("🐟" * 10, "🐟" * 10, None),
        (b"\xff", "", "invalid_utf8"),
        (b"\xed\xa0\x80", "", "invalid_utf8"),
        (b"", "", "empty_text"),
        ("\u200b\u00a0".encode(), "", "empty_text"),
        (b"a\0", "", "control_character"),
        (b"x" * 11, "", "text_too_long"),
        (b"x" * 5_000_000, "", "text_too_long"),
    ],
)
def test_a_line_keeps_its_place_whatever_it_holds(raw, text, problem):
    raw = raw.encode() if isinstance(raw, str) else raw
    before, line, after = read(b"before\n" + raw + b"\nafter\n")
    assert (before.text, before.number, after.text, after.number) == ("before", 1, "after", 3)
    assert (line.text, line.problem, line.number) == (text, problem, 2)
    assert line.size == len(raw) + 1


def test_a_byte_order_mark_is_no_part_of_the_first_line():
    assert [line.text for line in read("\ufeffé\nb".encode())] == ["é", "b"]


@given(st.binary(max_size=200))
def test_lines_are_those_that_line_feeds_end(raw):
    lines = read(raw)
    assert sum(line.size for line in lines) == len(raw)
    assert len(lines) == raw.count(b"\n") + (not raw.endswith(b"\n") and bool(raw))
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_reading_goes_on_where_it_was_left():
    raw = b"one\ntwo\nthree\n"
    first = LineReader(io.BytesIO(raw), 10)
    first.window(2)
    second = LineReader(io.BytesIO(raw), 10)
    second.skip(first.offset, 2)
    assert second.digest == first.digest
    assert second.window(2) == first.window(2)
