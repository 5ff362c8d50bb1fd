"""Every line of a broken corpus is accounted for, in what is printed and in the manifest."""

import gzip
import json
import tracemalloc

import pytest

from tests.training.faults.tiny_run import PAIRS, write_run
from training.__main__ import main
from training.cleaning_report import CleaningReport
from training.corpus import read_pairs

LONG_LINE = 10 * 2**20

BROKEN = [
    ("bad_utf8", b"bad \xff byte\tmauvais octet\n"),
    ("bad_utf8", b"overlong\tslash \xc0\xaf\n"),
    ("bad_utf8", b"lone surrogate\t\xed\xa0\x80\n"),
    ("no_target", b"a line without a translation\n"),
    ("no_target", b"\n"),
    ("line_too_long", b"x" * LONG_LINE + b"\tlong\n"),
    ("empty", b"\tonly a target\n"),
    ("empty", b"only a source\t\n"),
    ("empty", b" \xc2\xa0\t \n"),
    ("ratio", b"short\t" + b"very long " * 30 + b"\n"),
    ("too_long", b"word " * 500 + b"\t" + b"mot " * 500 + b"\n"),
    ("duplicate", PAIRS[0].encode()),
    ("duplicate", PAIRS[1].rstrip("\n").encode() + b"\r\n"),
    ("too_many_pieces", b"zx" * 50 + b"\t" + b"qj" * 50 + b"\n"),
]
KEPT = [
    "one\u2028line\tune\u2028ligne\n".encode(),
    "next\u0085line\x0b\tligne\x0csuivante\n".encode(),
    b"carriage\rreturn\tretour\rchariot\n",
    b"three columns\ttrois colonnes\torigin\tmore\n",
]


@pytest.fixture
def broken(tmp_path):
    """A run whose training file has every kind of broken line between good ones."""
    config = write_run(tmp_path / "a", "max_steps = 1")
    good = [pair.encode() for pair in PAIRS]
    lines = good[:70] + [line for _, line in BROKEN] + KEPT + good[70:]
    (config.parent / "train.tsv").write_bytes(b"\xef\xbb\xbf" + b"".join(lines).rstrip(b"\n"))
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace('train = "pairs.tsv"', 'train = "train.tsv"\non_bad_line = "skip"')
    )
    return config


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `python -m training`; gives status and what was printed."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, " ".join(capsys.readouterr().err.split())

    return run


def test_every_line_is_kept_or_dropped_for_one_reason(broken, command):
    status, printed = command("prepare", broken)
    assert status == 0, printed
    folder = broken.parent / "run" / "prepared"
    account = json.loads((folder / "manifest.json").read_text())["reports"]["train"]
    expected = {}
    for reason, _ in BROKEN:
        expected[reason] = expected.get(reason, 0) + 1
    assert account["dropped"] == expected
    assert account["kept"] == len(PAIRS) + len(KEPT)
    assert account["read"] == account["kept"] + sum(expected.values())
    for meaning in ("not valid UTF-8", "no second column", "line longer", "the same pair"):
        assert meaning in printed
    sources = (folder / "train.source.txt").read_text("utf-8").split("\n")[:-1]
    targets = (folder / "train.target.txt").read_text("utf-8").split("\n")[:-1]
    assert len(sources) == len(targets) == account["kept"]
    assert targets[sources.index("one line")] == "une ligne"
    assert targets[sources.index("next line")] == "ligne suivante"
    assert targets[sources.index("carriage return")] == "retour chariot"


@pytest.mark.parametrize(
    ("number", "message"), [(0, "train.tsv:71:5: not UTF-8"), (3, "train.tsv:71: no tab")]
)
def test_without_leave_to_skip_the_first_bad_line_is_placed(broken, command, number, message):
    text = broken.read_text(encoding="utf-8")
    broken.write_text(text.replace('on_bad_line = "skip"', ""), encoding="utf-8")
    lines = [*(pair.encode() for pair in PAIRS[:70]), BROKEN[number][1]]
    (broken.parent / "train.tsv").write_bytes(b"".join(lines))
    status, printed = command("train", broken)
    assert status == 2
    assert message in printed
    assert not (broken.parent / "run" / "checkpoint").exists()
    assert not (broken.parent / "run" / "prepared").exists()


def test_a_line_of_ten_megabytes_is_never_held(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"a\tb\n" + b"x" * LONG_LINE + b"\nc\td\n")
    tracemalloc.start()
    try:
        report = CleaningReport()
        assert len(list(read_pairs((path,), report))) == 2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.dropped == {"line_too_long": 1}
    assert peak < LONG_LINE / 2


def test_files_that_do_not_pair_up_make_no_checkpoint(tmp_path, command):
    config = write_run(tmp_path / "a", "max_steps = 1")
    (config.parent / "a.en").write_text("a\n" * 1000)
    (config.parent / "a.fr").write_text("b\n" * 999)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('train = "pairs.tsv"', 'train = ["a.en", "a.fr"]'))
    status, printed = command("train", config)
    assert status == 2
    assert "1000 lines" in printed
    assert "has 999" in printed
    assert "First suspicious line: 1000" in printed
    assert not (config.parent / "run" / "checkpoint").exists()


def test_a_truncated_archive_is_placed_and_makes_no_checkpoint(tmp_path, command):
    config = write_run(tmp_path / "a", "max_steps = 1")
    whole = gzip.compress("".join(PAIRS * 50).encode())
    (config.parent / "pairs.tsv").write_bytes(whole[: len(whole) // 2])
    status, printed = command("train", config)
    assert status == 2
    assert "broken gzip data" in printed
    assert not (config.parent / "run" / "checkpoint").exists()


def test_one_sentence_asks_for_a_smaller_vocabulary(tmp_path, command):
    config = write_run(tmp_path / "a", "max_steps = 1", PAIRS[:1])
    status, printed = command("train", config)
    assert status == 2
    assert "tokenizer.vocabulary_size is 370" in printed
    assert "set it to" in printed or "raise it" in printed


def test_a_corpus_of_one_pair_a_hundred_times_is_one_pair(tmp_path, command):
    config = write_run(tmp_path / "a", "max_steps = 1")
    (config.parent / "train.tsv").write_text(PAIRS[0] * 100 + "".join(PAIRS[1:]))
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('train = "pairs.tsv"', 'train = "train.tsv"'))
    status, printed = command("prepare", config)
    assert status == 0
    assert "the same pair came before 99" in printed.replace("│", "").replace("  ", " ")
    assert "144 training pairs are validation pairs too" in printed
