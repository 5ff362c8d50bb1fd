"""Pairs come out as they are written, and what cannot be read says where."""

import gzip
import os

import pytest

from training.cleaning_report import CleaningReport
from training.corpus import MAX_LINE_BYTES, CorpusError, Pair, read_pairs


def read(*files, **options):
    report = CleaningReport()
    return list(read_pairs(files, report, **options)), report


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_a_third_column_is_the_origin_and_more_are_ignored(tmp_path):
    pairs, _ = read(write(tmp_path / "a.tsv", "a\tb\tbook\tpage 3\nc\td\n"))
    assert pairs == [Pair("a", "b", "book"), Pair("c", "d")]


def test_reverse_swaps_the_sides(tmp_path):
    pairs, _ = read(write(tmp_path / "a.tsv", "a\tb\tbook\n"), reverse=True)
    assert pairs == [Pair("b", "a", "book")]


def test_two_files_pair_up_line_by_line(tmp_path):
    pairs, report = read(write(tmp_path / "a.en", "a\n\nc"), write(tmp_path / "a.fr", "x\ny\nz\n"))
    assert pairs == [Pair("a", "x"), Pair("", "y"), Pair("c", "z")]
    assert report.read == 3


@pytest.mark.parametrize("character", "\u2028\u2029\u0085\v\f\r\x1c\x1d\x1e")
def test_only_a_newline_ends_a_line(tmp_path, character):
    text = f"one{character}line\tune{character}ligne\nnext\tsuivante\n"
    pairs, _ = read(write(tmp_path / "a.tsv", text))
    assert pairs == [Pair(f"one{character}line", f"une{character}ligne"), Pair("next", "suivante")]


def test_byte_order_mark_and_carriage_returns_go(tmp_path):
    pairs, _ = read(write(tmp_path / "a.tsv", "\ufeffa\tb\r\nc\td\r\n"))
    assert pairs == [Pair("a", "b"), Pair("c", "d")]


def test_gzip_is_recognised_by_its_content(tmp_path):
    pairs, _ = read(write(tmp_path / "corpus.tsv", gzip.compress(b"a\tb\n")))
    assert pairs == [Pair("a", "b")]


def test_truncated_gzip_says_which_line_is_the_last(tmp_path):
    data = gzip.compress(os.urandom(40000).hex().encode().replace(b"00", b"\t0\n"))
    with pytest.raises(CorpusError, match=r"corpus\.tsv\.gz:\d+: broken gzip data"):
        read(write(tmp_path / "corpus.tsv.gz", data[:-2000]), on_bad_line="skip")


def test_unpaired_files_say_both_counts_and_the_first_suspicious_line(tmp_path):
    source = write(tmp_path / "a.en", "a\n" * 1000)
    target = write(tmp_path / "a.fr", "b\n" * 499 + "\n" + "b\n" * 499)
    with pytest.raises(CorpusError) as caught:
        read(source, target)
    assert "1000 lines" in str(caught.value)
    assert "has 999" in str(caught.value)
    assert "First suspicious line: 500" in str(caught.value)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_bytes_that_are_not_utf8_are_placed_exactly(tmp_path, bad):
    path = write(tmp_path / "a.tsv", b"a\tb\nab\tc" + bad + b"\ne\tf\n")
    with pytest.raises(CorpusError, match=r"a\.tsv:2:5: not UTF-8"):
        read(path)
    pairs, report = read(path, on_bad_line="skip")
    assert pairs == [Pair("a", "b"), Pair("e", "f")]
    assert report.read == 3
    assert report.dropped == {"bad_utf8": 1}


def test_a_line_without_a_tab_is_placed(tmp_path):
    path = write(tmp_path / "a.tsv", "a\tb\nlonely\n")
    with pytest.raises(CorpusError, match=r"a\.tsv:2: no tab"):
        read(path)
    assert read(path, on_bad_line="skip")[1].dropped == {"no_target": 1}


def test_an_endless_line_is_counted_and_never_held(tmp_path):
    endless = b"x" * (10 * MAX_LINE_BYTES)
    path = write(tmp_path / "a.tsv", b"a\tb\n" + endless + b"\nc\td\n" + endless)
    pairs, report = read(path)
    assert pairs == [Pair("a", "b"), Pair("c", "d")]
    assert report.dropped == {"line_too_long": 2}


def test_an_endless_line_keeps_two_files_in_step(tmp_path):
    endless = "x" * (MAX_LINE_BYTES + 1)
    pairs, report = read(
        write(tmp_path / "a.en", f"a\n{endless}\nc\n"), write(tmp_path / "a.fr", "x\ny\nz\n")
    )
    assert pairs == [Pair("a", "x"), Pair("c", "z")]
    assert report.dropped == {"line_too_long": 1}


def test_a_folder_a_pipe_and_nothing_are_refused_in_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(CorpusError, match="not a regular file"):
            read(path)
    with pytest.raises(CorpusError, match="No such file"):
        read(tmp_path / "absent")


def test_an_empty_file_has_no_pairs(tmp_path):
    pairs, report = read(write(tmp_path / "a.tsv", ""))
    assert pairs == []
    assert report.read == 0
