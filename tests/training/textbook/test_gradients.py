"""`python -m training gradients`, for a configuration and for a checkpoint."""

import json
import sys

import pytest

from tests.training.textbook.self_contained import assert_self_contained
from training.__main__ import main


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_configuration_gives_a_report_of_all_cells(monkeypatch, write_corpus, tmp_path, capsys):
    write_corpus("threads = 1\n")
    assert run(monkeypatch, "gradients", tmp_path / "config.toml", "--steps", 4) == 0
    folder = tmp_path / "run" / "gradients"
    assert_self_contained((folder / "report.html").read_text("utf-8"))
    values = json.loads((folder / "report.json").read_text("utf-8"))
    assert [(network["label"], network["trained"]) for network in values["networks"]] == [
        ("tanh", False),
        ("tanh", True),
        ("LSTM", False),
        ("LSTM", True),
        ("GRU", False),
        ("GRU", True),
    ]
    before, after = values["networks"][:2]
    assert before["spectra"]["encoder"][0]["values"] == pytest.approx([1.0] * 16, abs=1e-5)
    assert after["spectra"] != before["spectra"]
    assert after["flows"] != before["flows"]
    factors = [flow["relative"][-1] for flow in values["scales"].values()]
    assert factors == sorted(factors)
    forward, backward = (values["directions"][name]["relative"] for name in ("forward", "backward"))
    assert forward[0] == backward[0] == 1
    assert forward != backward
    assert values["clipped"].keys() == {"tanh", "LSTM", "GRU"}
    assert [len(one["losses"]) for one in values["clipping"]] == [4] * 4
    assert sorted(file.stem for file in (folder / "pictures").iterdir()) == [
        "attention-shortcut",
        "clipping",
        "gradient-flow",
        "singular-values",
        "two-directions",
        "vanishing-exploding",
    ]
    said = " ".join(capsys.readouterr().err.split())
    assert "training.warmup_steps is 400" in said
    assert "through the decoder multiplies" in said


def test_checkpoint_is_measured_beside_its_untrained_self(
    monkeypatch, tiny_checkpoint, tmp_path, pairs
):
    lines = "".join(f"{source}\t{target}\n" for source, target in pairs[:50])
    (tmp_path / "pairs.tsv").write_text(lines, "utf-8")
    arguments = ("--pairs", tmp_path / "pairs.tsv", "--output", tmp_path / "report")
    assert run(monkeypatch, "gradients", tiny_checkpoint, *arguments) == 0
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert_self_contained(page)
    assert page.count("<svg") == 2
    assert "GRU, after training" in page


def test_checkpoint_without_pairs_is_refused(monkeypatch, tiny_checkpoint, capsys):
    assert run(monkeypatch, "gradients", tiny_checkpoint) == 2
    assert "give --pairs" in capsys.readouterr().err


def test_pairs_that_are_all_too_long_are_refused(monkeypatch, tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("word " * 200 + "\t" + "mot " * 200 + "\n", "utf-8")
    status = run(monkeypatch, "gradients", tiny_checkpoint, "--pairs", tmp_path / "pairs.tsv")
    assert status == 2
    assert "at most 100 pieces" in capsys.readouterr().err.replace("\n", " ")
