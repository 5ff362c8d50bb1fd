import csv
import io
import math
from collections import defaultdict

import pytest
from hypothesis import given

from app.formats.aligned import FormatOptions
from app.formats.tables import HEADER, comma_separated, tab_separated
from model.words import Token
from tests.app.formats import aligned_texts as texts
from tests.unicode_texts import unicode_texts


def read_csv(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode(), newline="")))


def read_tsv(written: bytes) -> list[dict[str, str]]:
    header, *lines = (line.split("\t") for line in written.decode().removesuffix("\n").split("\n"))
    return [dict(zip(header, line, strict=True)) for line in lines]


def one_token(text: str):
    token = (Token(text, 0, len(text)),)
    return texts.text(text, text, "en fr", texts.segment(token, token, level="piece"))


def test_csv_has_a_header_and_crlf():
    lines = comma_separated(texts.SMALL, FormatOptions()).split(b"\r\n")
    assert lines[0].decode() == ",".join(HEADER)
    assert lines[1] == b"0,word,attention,0,Le,0,2,0,The,0,3,0.875"
    assert lines[-1] == b""


@pytest.mark.parametrize(
    ("write", "read"), [(comma_separated, read_csv), (tab_separated, read_tsv)]
)
def test_lines_of_a_target_token_add_up_to_one_with_that_of_the_end(write, read):
    rows = read(write(texts.two_segments(), FormatOptions()))
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        sums[row["segment"], row["target_index"]] += float(row["weight"])
    assert len(sums) == sum(len(one.alignment.target) for one in texts.two_segments().segments)
    assert all(math.isclose(total, 1.0, abs_tol=1e-4) for total in sums.values())
    assert sum(row["source_index"] == "" for row in rows) == len(sums)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-", "@cmd", "\t=1", "＝1", "'quoted", "\r=1"])
def test_no_cell_of_csv_starts_a_formula(text):
    row = read_csv(comma_separated(one_token(text), FormatOptions()))[0]
    assert row["source"] == row["target"] == "'" + text


@given(unicode_texts())
def test_csv_gives_every_text_back(text):
    row = read_csv(comma_separated(one_token(text), FormatOptions()))[0]
    assert row["source"].removeprefix("'") == text or row["source"] == text
    assert (row["source"] != text) == text.startswith(
        ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
    )


@given(unicode_texts())
def test_tsv_gives_every_text_back(text):
    row = read_tsv(tab_separated(one_token(text), FormatOptions()))[0]
    plain = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
    read, at = "", 0
    while at < len(row["source"]):
        pair = row["source"][at : at + 2]
        read += plain.get(pair, pair[:1])
        at += 2 if pair in plain else 1
    assert read == text
