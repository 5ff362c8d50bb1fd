"""The command line: what it prints, and one line with status 2 for whatever is wrong."""

import json
import math
import sys

import pytest
import torch

from model.alignment_head import AlignmentHead
from model.checkpoint import add_alignment_head, load_checkpoint
from training.__main__ import main
from training.interruption import run_lock
from training.reporter import visible


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `python -m training` with the given arguments; gives status, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        output, errors = capsys.readouterr()
        return caught.value.code, output, errors

    return run


def write_gold(folder):
    folder.mkdir()
    (folder / "src.txt").write_text("Hello , you .\nGood night .\n")
    (folder / "tgt.txt").write_text("Bonjour , toi .\nBonne nuit .\n")
    (folder / "gold.txt").write_text("0-0 1-1 2-2 3-3\n0-0 1-1 2-2 0p1\n")
    return folder


def write_pairs(path, pairs):
    lines = (f"{pair.source}\t{pair.target}\t{pair.origin}\n" for pair in pairs)
    path.write_text("".join(lines), "utf-8")
    return path


def test_evaluate_ends_with_one_json_object(command, tiny_checkpoint, some_pairs, tmp_path):
    path = write_pairs(tmp_path / "pairs.tsv", some_pairs)
    gold = write_gold(tmp_path / "gold")
    status, output, _ = command(
        *("evaluate", "--checkpoint", tiny_checkpoint, "--pairs", path, "--gold-align", gold),
        *("--beam", 1, "--json", "--output", tmp_path / "translations.txt"),
    )
    assert status == 0
    values = json.loads(output.splitlines()[-1])
    assert {"bleu", "bleu_lowercase", "chrf", "signature", "loss", "seconds"} <= values.keys()
    assert values["sentences"] == 40
    assert values["perplexity"] == pytest.approx(math.exp(values["loss"]))
    assert {"aer", "precision", "recall", "threshold", "shift"} <= values.keys()
    assert 0 <= values["aer"] <= 100
    assert {row["shift"] for row in values["gold"][str(gold)]["rows"]} == {-1, 0, 1}
    assert (tmp_path / "translations.txt").read_text("utf-8").count("\n") == 40
    assert "book" in output


def test_evaluate_records_what_it_found_and_changes_nothing_else(
    command, tiny_checkpoint, some_pairs, tmp_path
):
    mean = tmp_path / "mean"
    assert command("average", tiny_checkpoint, tiny_checkpoint, "--output", mean)[0] == 0
    before = load_checkpoint(mean)
    assert "The mean is not measured yet" in (mean / "MODEL_CARD.md").read_text("utf-8")
    head = AlignmentHead(before.manifest.config, units=3)
    add_alignment_head(mean, head, threshold=0.5, metrics={"head_silver_aer": 7.5})
    path = write_pairs(tmp_path / "pairs.tsv", some_pairs)
    arguments = ("evaluate", "--checkpoint", mean, "--pairs", path, "--beam", 1)
    status, output, _ = command(*arguments, "--json", "--record")
    assert status == 0
    values = json.loads(output.splitlines()[-1])
    after = load_checkpoint(mean)
    metrics = after.manifest.metrics
    assert metrics["head_silver_aer"] == 7.5
    assert metrics["bleu"] == round(values["bleu"], 2)
    assert metrics["loss_book"] == round(values["by_origin"]["book"]["loss"], 4)
    assert metrics["pairs"] == 40
    assert after.alignment_head is not None
    assert after.manifest.training == before.manifest.training
    kept = before.model.state_dict()
    assert all(torch.equal(kept[name], one) for name, one in after.model.state_dict().items())
    card = (mean / "MODEL_CARD.md").read_text("utf-8")
    assert "not measured yet" not in card
    assert f"| chrf_film | {metrics['chrf_film']:.3f} |" in card
    command(*arguments, "--record")
    again = (mean / "MODEL_CARD.md").read_text("utf-8")
    assert again == card
    assert again.count("## Metrics") == again.count("| on pairs.tsv, beam 1 | |") == 1


def test_evaluate_names_what_is_wrong_in_one_line(command, tiny_checkpoint, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("a\tb\n")
    for arguments, message in (
        (("--checkpoint", tmp_path, "--pairs", pairs), "manifest.json: missing"),
        (("--checkpoint", tiny_checkpoint, "--pairs", tmp_path / "absent.tsv"), "No such file"),
        (
            ("--checkpoint", tiny_checkpoint, "--pairs", pairs, "--gold-align", tmp_path),
            "src.txt: No such file or directory; a folder of gold links holds src.txt, tgt.txt",
        ),
    ):
        status, _, errors = command("evaluate", *arguments)
        assert status == 2
        assert message in errors.replace("\n", "")


def test_figures_come_before_translations_that_cannot_be_written(
    command, tiny_checkpoint, some_pairs, tmp_path
):
    pairs = write_pairs(tmp_path / "pairs.tsv", some_pairs[:2])
    absent = tmp_path / "absent" / "out.txt"
    status, output, errors = command(
        *("evaluate", "--checkpoint", tiny_checkpoint, "--pairs", pairs, "--json"),
        *("--beam", 1, "--output", absent),
    )
    assert status == 2
    assert json.loads(output.splitlines()[-1])["sentences"] == 2
    assert errors.strip().endswith(f"error: {absent}: No such file or directory")


def test_what_a_model_writes_moves_no_cursor():
    assert visible("\x1b[2Jça va\n\u2028!") == "\\x1b[2Jça va\\n\\u2028!"
    assert visible("Ça va\u00a0? 👩\u200d👧") == "Ça va\u00a0? 👩\u200d👧"


def test_evaluate_refuses_pairs_without_text(command, tiny_checkpoint, tmp_path):
    (tmp_path / "pairs.tsv").write_text("\tb\n")
    status, _, errors = command(
        "evaluate", "--checkpoint", tiny_checkpoint, "--pairs", tmp_path / "pairs.tsv"
    )
    assert status == 2
    assert "no pair with text on both sides" in errors.replace("\n", "")


def test_evaluate_takes_from_a_configuration_what_is_left_out(
    command, tiny_checkpoint, write_corpus, tmp_path
):
    write_corpus('[validation]\ngold_align = "gold"\n')
    write_gold(tmp_path / "gold")
    status, output, _ = command(
        "evaluate", tmp_path / "config.toml", "--checkpoint", tiny_checkpoint, "--beam", 1, "--json"
    )
    values = json.loads(output.splitlines()[-1])
    assert status == 0
    assert values["sentences"] == 20
    assert list(values["gold"]) == [str(tmp_path / "gold")]
    status, _, errors = command("evaluate", tmp_path / "config.toml")
    assert status == 2
    assert "run/checkpoint: not a folder" in errors.replace("\n", "")


def test_evaluate_reads_pairs_as_the_configuration_says(
    command, tiny_checkpoint, write_corpus, tmp_path
):
    write_corpus()
    with (tmp_path / "validation.tsv").open("a") as file:
        file.write("no tab here\n")
    arguments = ("evaluate", tmp_path / "config.toml", "--checkpoint", tiny_checkpoint, "--beam", 1)
    status, _, errors = command(*arguments)
    assert status == 2
    assert 'on_bad_line = "skip" in [data]' in errors
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace("[data]", '[data]\non_bad_line = "skip"'))
    status, output, _ = command(*arguments, "--json")
    assert status == 0
    assert json.loads(output.splitlines()[-1])["sentences"] == 20


def test_evaluate_refuses_a_penalty_without_bounds(command, tiny_checkpoint, tmp_path):
    status, _, errors = command(
        *("evaluate", "--checkpoint", tiny_checkpoint, "--pairs", tmp_path / "pairs.tsv"),
        *("--coverage-penalty", "inf"),
    )
    assert status == 2
    assert "coverage_penalty is inf" in errors


def test_the_help_of_compare_names_the_sections(command):
    status, output, _ = command("compare", "--help")
    assert status == 0
    assert "[model] or [training]" in output


def test_evaluate_says_what_it_needs(command, tiny_checkpoint):
    status, _, errors = command("evaluate", "--checkpoint", tiny_checkpoint)
    assert status == 2
    assert "give --checkpoint and --pairs" in errors


def test_prepare_prints_the_account_and_the_folder(command, write_corpus, tmp_path):
    write_corpus()
    status, _, errors = command("prepare", tmp_path / "config.toml")
    assert status == 0
    assert "Training pairs" in errors
    assert (tmp_path / "run" / "prepared" / "manifest.json").exists()


def test_prepare_keeps_away_from_a_run_folder_that_is_in_use(command, write_corpus, tmp_path):
    write_corpus()
    with run_lock(tmp_path / "run"):
        status, _, errors = command("prepare", tmp_path / "config.toml")
    assert status == 5
    assert "in use by process" in errors
    assert not (tmp_path / "run" / "prepared").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("head",),
        ("gradients",),
        ("compare", "--vary", "cell=rnn", "--steps", 2),
    ],
)
def test_a_gpu_that_is_not_there_is_said_before_anything_is_prepared(
    command, write_corpus, tmp_path, arguments
):
    write_corpus('device = "cuda"\n')
    name, *options = arguments
    status, _, errors = command(name, tmp_path / "config.toml", *options)
    assert status == 2
    assert 'training.device is "cuda", but this PyTorch finds no such GPU' in errors
    assert not (tmp_path / "run" / "prepared").exists()


def test_a_run_folder_that_is_a_file_is_named(command, write_corpus, tmp_path):
    write_corpus()
    (tmp_path / "run").write_text("")
    status, _, errors = command("train", tmp_path / "config.toml")
    assert (status, errors) == (2, f"error: {tmp_path / 'run'}: not a folder\n")


def test_a_misspelt_key_is_one_line_with_the_right_one(command, write_corpus, tmp_path):
    write_corpus()
    with (tmp_path / "config.toml").open("a") as file:
        file.write("sede = 3\n")
    status, _, errors = command("prepare", tmp_path / "config.toml")
    assert status == 2
    assert "'sede' in [training]; did you mean 'seed'?" in errors.replace("\n", "")
