"""Parts of a corpus, handed to workers that translate them as one file is translated."""

import importlib.util
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.bulk.cluster import ClusterError, Work, parts_of, translate_parts
from app.commands import commands
from app.terminal import CANNOT_START, SOME_LINES_FAILED

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"
)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "b.txt").write_text("The cat sleeps.\nIt dreams.\n", "utf-8")
    (folder / "a.txt").write_text("Yes.\n\nNo!\n", "utf-8")
    return folder


def test_parts_are_the_files_that_are_not_translated_yet(corpus, tmp_path):
    output = tmp_path / "out"
    first, second = parts_of(corpus, output, "tsv")
    assert first["input"] == str(corpus / "a.txt")
    assert second["output"] == str(output / "b.txt.tsv")
    (output / "a.txt.tsv").touch()
    assert parts_of(corpus, output, "tsv") == [second]


def test_a_folder_without_files_is_told(tmp_path):
    with pytest.raises(ClusterError, match="is not a folder"):
        parts_of(tmp_path / "missing", tmp_path / "out", "tsv")
    with pytest.raises(ClusterError, match="has no file"):
        parts_of(tmp_path, tmp_path / "out", "tsv")


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"softalign\[ray\]"):
        translate_parts([{"input": "a", "output": "b"}], Work(lambda: lambda _a, _b: 0), 1)


def test_workers_have_the_settings_of_the_command(corpus, tmp_path, tiny_checkpoint, monkeypatch):
    """A worker is in another process, and may be on another machine: nothing of here is there."""
    sent = []

    def hand_out(parts, work, _workers):
        sent.append(pickle.dumps(work))
        monkeypatch.chdir(elsewhere)
        for name in variables:
            monkeypatch.delenv(name)
        translate = pickle.loads(sent[0]).begin()
        return Counter(translate(Path(part["input"]), Path(part["output"])) for part in parts)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tiny_checkpoint.parent)
    variables = {
        "SOFTALIGN_CHECKPOINTS": tiny_checkpoint.name,
        "SOFTALIGN_MAX_TEXT_CHARACTERS": "8",
        "SOFTALIGN_DATABASE_URL": "postgresql://me:hidden@host/name",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("app.bulk_command.translate_parts", hand_out)
    output = tmp_path / "out"
    options = ["--input", str(corpus), "--output", str(output), "--beam", "1", "--ray", "2"]
    ended = CliRunner().invoke(commands, ["translate", *options])
    assert ended.exit_code == SOME_LINES_FAILED, ended.stderr  # "The cat sleeps." is too long now
    assert (output / "b.txt.tsv").read_text() == "\t\n\t\n"
    assert b"hidden" not in sent[0]


def test_without_checkpoints_no_worker_is_started(corpus, tmp_path):
    options = ["--input", str(corpus), "--output", str(tmp_path / "out"), "--ray", "2"]
    ended = CliRunner().invoke(commands, ["translate", "--checkpoints", "missing", *options])
    assert ended.exit_code == CANNOT_START
    assert "there is no folder missing" in ended.stderr


@needs_ray
def test_two_workers_give_what_one_run_gives(corpus, tmp_path, tiny_checkpoint):
    def run(*arguments):
        command = ["translate", "--checkpoints", tiny_checkpoint.parent, "--beam", "2", *arguments]
        # A process of its own: Ray keeps threads and sockets in the one that starts it.
        ended = subprocess.run(
            [sys.executable, "-m", "app", *command],
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert ended.returncode == 0, ended.stderr[-2_000:]
        return ended.stdout

    output = tmp_path / "out"
    assert "2 parts were left: 2 translated" in run(
        "--input", corpus, "--output", output, "--ray", "2"
    )
    for name in ("a.txt", "b.txt"):
        alone = tmp_path / f"{name}.tsv"
        run("--input", corpus / name, "--output", alone)
        assert (output / f"{name}.tsv").read_bytes() == alone.read_bytes()
    assert "0 parts were left" in run("--input", corpus, "--output", output, "--ray", "2")
