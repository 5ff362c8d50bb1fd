import json

import pytest
from typer.testing import CliRunner

from app.align_schemas import AlignReply
from app.commands import commands
from app.formats.table import FORMATS
from app.terminal import WRONG_INPUT

runner = CliRunner()
LINES = "Yes.\tOui.\nThe cat sleeps. It rains.\tLe chat dort. Il pleut.\nNo.\tNon.\n"


@pytest.fixture
def run(tiny_checkpoint):
    def run_command(*arguments, **more):
        options = ["--checkpoints", str(tiny_checkpoint)]
        return runner.invoke(commands, ["align", *options, *arguments], **more)

    return run_command


def assert_refused(result, word):
    assert result.exit_code == WRONG_INPUT
    assert result.stderr.startswith("softalign: ")
    assert len(result.stderr.splitlines()) == 1
    assert word in result.stderr


@pytest.mark.parametrize("form", FORMATS[1:], ids=lambda form: form.name)
def test_every_form_of_a_pair_is_written(run, form, tmp_path):
    file = tmp_path / f"alignment.{form.ending}"
    printed = run("Yes.", "Oui.", "--format", form.name)
    saved = run("Yes.", "Oui.", "--output", str(file))
    assert printed.exit_code == saved.exit_code == 0, printed.stderr
    assert file.read_bytes() == printed.stdout_bytes != b""


def test_a_heat_map_stands_below_the_target(run):
    shown = run("Yes.", "Oui.")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Oui.\n")
    assert "weight:" in shown.stdout


def test_bad_input_leaves_a_file_as_it_was(run, tmp_path):
    file = tmp_path / "alignment.csv"
    file.write_text("precious")
    assert_refused(run("Yes.", " ", "--output", str(file)), "nothing to translate")
    assert_refused(run("Yes.", "Oui\udce9", "--output", str(file)), "not UTF-8")
    assert file.read_text() == "precious"
    links = tmp_path / "links.pharaoh"
    assert run("--output", str(links), input="").exit_code == 0
    assert links.read_bytes() == b""


def test_json_is_the_answer_of_the_api(run):
    result = run("Yes.", "Oui.", "--format", "json")
    assert AlignReply.model_validate(json.loads(result.stdout)).model.name == "tiny"


@pytest.mark.parametrize("form", ["pharaoh", "proj", "json"])
def test_lines_of_standard_input_give_as_many_lines(run, form):
    result = run("--format", form, input=LINES * 7)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 21
    assert lines[:3] == lines[-3:]


def test_a_line_alone_gives_what_it_gives_among_others(run):
    together = run("--format", "pharaoh", input=LINES).stdout.splitlines(keepends=True)
    alone = [run("--format", "pharaoh", input=line).stdout for line in LINES.splitlines()]
    assert alone == together


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (LINES + "one column\n", "line 4"),
        ("a\tb\tc\n", "3 columns"),
        ("a\t \n", "line 1"),
        (b"\xff\tb\n", "UTF-8"),
        (LINES + "a\t" + "b" * 3_000, "line 4"),
        ("we sing " * 100 + "\ta\n", "line 1"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(run, lines, word):
    assert_refused(run("--format", "pharaoh", input=lines), word)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["Yes."], "neither"),
        (["Yes.", " "], "nothing"),
        (["Yes.", "Oui.", "--format", "pdf"], "svg"),
        (["Yes.", "Oui.", "--to", "xx"], "No model"),
        (["--format", "svg"], "several pairs"),
        (["Yes.", "Oui.", "--output", "/missing/a.svg"], "cannot be written"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(run, arguments, word):
    assert_refused(run(*arguments, input=""), word)


def test_both_directions_need_a_model_that_translates_back(run):
    result = run("Yes.", "Oui.", "--format", "pharaoh", "--both-directions")
    assert_refused(result, "from fr to en")
