import json

import pytest
from typer.testing import CliRunner

from app.commands import _welcome, commands
from app.errors import StorageUnavailableError
from app.formats.table import FORMATS
from app.reply_schemas import TranslateReply
from app.terminal import CANNOT_START, SOME_LINES_FAILED, WRONG_INPUT

runner = CliRunner()


@pytest.fixture
def run(tiny_checkpoint):
    def run_command(*arguments, **more):
        options = ["--checkpoints", str(tiny_checkpoint)]
        return runner.invoke(commands, ["translate", *options, *arguments], **more)

    return run_command


def test_the_translation_comes_first_and_the_heat_map_below(run):
    result = run("--to", "fr", "Yes.", "--beam", "2")
    alone = run("Yes.", "--beam", "2", "--format", "text")
    assert result.exit_code == alone.exit_code == 0
    assert result.stdout.startswith(alone.stdout)
    assert len(result.stdout.splitlines()) > len(alone.stdout.splitlines())


def test_the_text_is_read_from_standard_input(run):
    given = run("Yes.", "--format", "text")
    read = run("--format", "text", input="Yes.")
    assert read.exit_code == 0
    assert read.stdout == given.stdout


@pytest.mark.parametrize("given", [{"input": b"Caf\xe9."}, {"text": "Caf\udce9."}])
def test_a_text_that_is_not_utf8_is_told_in_one_line(run, given):
    arguments = [given["text"]] if "text" in given else []
    result = run(*arguments, input=given.get("input"))
    assert result.exit_code == WRONG_INPUT
    assert result.stderr.splitlines() == [result.stderr.strip()]
    assert "not UTF-8" in result.stderr
    assert " 3 " in result.stderr


def test_an_option_that_cannot_be_used_is_named(run):
    result = run("Yes.", "--threshold", "5")
    assert result.exit_code == WRONG_INPUT
    assert "/threshold" in result.stderr


def test_json_is_the_answer_of_the_api(run):
    result = run("Yes.", "--format", "json")
    assert TranslateReply.model_validate(json.loads(result.stdout)).model.name == "tiny"


def test_json_says_from_which_weight_on_links_were_asked_for(run):
    result = run("Yes.", "--format", "json", "--threshold", "0.25")
    [translation] = json.loads(result.stdout)["translations"]
    assert translation["alignment"]["link_threshold"] == 0.25


@pytest.mark.parametrize("form", FORMATS[1:], ids=lambda form: form.name)
def test_every_form_of_the_alignment_is_written(run, form, tmp_path):
    file = tmp_path / f"alignment.{form.ending}"
    printed = run("Yes.", "--format", form.name)
    saved = run("Yes.", "--output", str(file))
    assert printed.exit_code == saved.exit_code == 0
    assert file.read_bytes() == printed.stdout_bytes != b""
    assert not saved.stdout


def test_an_unknown_form_lists_those_there_are(run):
    result = run("Yes.", "--format", "pdf")
    assert result.exit_code == WRONG_INPUT
    assert "svg" in result.stderr


def test_a_file_that_cannot_be_written_is_told_in_one_line(run, tmp_path):
    result = run("Yes.", "--output", str(tmp_path / "missing" / "alignment.svg"))
    assert result.exit_code == WRONG_INPUT
    assert result.stderr.startswith("softalign: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_model_without_attention_prints_its_translation_alone(plain_models, monkeypatch):
    monkeypatch.setattr("app.terminal.load_models", lambda _: plain_models)
    shown = runner.invoke(commands, ["translate", "Yes."])
    assert shown.exit_code == 0
    assert shown.stdout == runner.invoke(commands, ["translate", "Yes.", "--format", "text"]).stdout
    drawn = runner.invoke(commands, ["translate", "Yes.", "--format", "svg"])
    assert drawn.exit_code == WRONG_INPUT
    assert "attention" in drawn.stderr


@pytest.mark.parametrize(
    "arguments", [[" "], ["--to", "xx", "Yes."], ["--model", "other", "Yes."], ["x" * 3_000]]
)
def test_what_cannot_be_used_is_told_in_one_line(run, arguments):
    result = run(*arguments)
    assert result.exit_code == WRONG_INPUT
    assert result.stderr.startswith("softalign: ")
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


def test_a_start_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    result = runner.invoke(commands, ["translate", "--checkpoints", str(tmp_path), "Yes."])
    assert result.exit_code == CANNOT_START
    assert len(result.stderr.splitlines()) == 1
    monkeypatch.setenv("SOFTALIGN_CHECKPOINT", "x")
    for command in ("serve", "openapi"):
        result = runner.invoke(commands, [command])
        assert result.exit_code == CANNOT_START
        assert "did you mean SOFTALIGN_CHECKPOINTS" in result.stderr


def test_a_database_that_goes_away_at_the_start_is_told_in_one_line(monkeypatch):
    async def away(_settings, _host):
        raise StorageUnavailableError(1)

    monkeypatch.setattr("app.commands.bind", lambda _host, _port: None)
    monkeypatch.setattr("app.commands.check_exposure", away)
    result = runner.invoke(commands, ["serve"])
    assert result.exit_code == CANNOT_START
    assert result.stderr.startswith("softalign: The database does not answer.")
    assert len(result.stderr.splitlines()) == 1


def test_the_welcome_has_a_request_that_can_be_pasted(tiny_models):
    welcome = _welcome("http://127.0.0.1:8000", tiny_models, "It is open to all.")
    address, access, command = welcome.splitlines()
    assert access == "It is open to all."
    assert "http://127.0.0.1:8000" in address
    body = json.loads(command.split("-d '")[1].removesuffix("'"))
    assert body["target_lang"] == "fr"


def test_a_file_is_translated_line_by_line(run, tmp_path):
    source, output = tmp_path / "source.txt", tmp_path / "output.tsv"
    source.write_text("Yes.\n\nNo.\n")
    result = run("--input", str(source), "--output", str(output), "--beam", "1")
    assert result.exit_code == 0, result.stderr
    lines = output.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["Yes.", "", "No."]
    assert "3 lines: 2 translated\n1 empty_text: lines 2" in result.stderr


@pytest.mark.parametrize(("setting", "expected"), [(None, []), ("3", [3]), ("0", [])])
def test_a_run_over_a_file_takes_all_cores_unless_told(
    run, tmp_path, monkeypatch, setting, expected
):
    asked = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    if setting is not None:
        monkeypatch.setenv("SOFTALIGN_THREADS", setting)
    source = tmp_path / "source.txt"
    source.write_text("Yes.\n")
    result = run("--input", str(source), "--output", str(tmp_path / "o.tsv"), "--beam", "1")
    assert result.exit_code == 0, result.stderr
    assert asked == expected


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--input", "a.txt"], "--output"),
        (["--input", "a.txt", "--output", "b.svg"], "pharaoh"),
        (["--input", "a.txt", "--output", "b.tsv", "Yes."], "not both"),
        (["--window", "8", "Yes."], "needs --input"),
        (["--input", "missing.txt", "--output", "b.tsv"], "missing.txt"),
        (["--input", "a.txt", "--output", "b.tsv", "--beam", "99"], "--beam"),
        (["--input", "a.txt", "--output", "b.tsv", "--threshold", "2"], "--threshold"),
        (["--input", "a.txt", "--output", "b.tsv", "--level", "piece"], "--level"),
        (["--input", "a.txt", "--output", "b.tsv", "--to", "xx"], "No model"),
    ],
)
def test_a_run_over_a_file_that_cannot_begin_says_why(run, arguments, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == WRONG_INPUT
    assert word in result.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.endswith((".journal", "tsv"))]


def test_a_file_with_lines_that_cannot_be_used_has_an_exit_code_of_its_own(run, tmp_path):
    source, output = tmp_path / "source.txt", tmp_path / "output.jsonl"
    source.write_bytes(b"Yes.\n\xff\n")
    result = run("--input", str(source), "--output", str(output), "--beam", "1")
    assert result.exit_code == SOME_LINES_FAILED
    assert json.loads(output.read_text().splitlines()[1]) == {"line": 2, "problem": "invalid_utf8"}
