"""A run over a file: the same bytes however often it is killed."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.bulk import journal as journals
from app.bulk.journal import load_journal
from app.bulk.run import BulkError, run
from tests.app.bulk.conftest import BAD, GOOD


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


def test_the_output_has_a_line_for_each_line_and_nothing_else_is_left(make_task):
    task = make_task()
    account = run(task)
    documents = [json.loads(line) for line in task.output.read_text().split("\n")[:-1]]
    assert [document["line"] for document in documents] == list(range(1, 16))
    assert {one["line"] for one in documents if "problem" in one} == set(BAD)
    assert documents[0]["source"] == GOOD[0]
    assert (account.lines, account.translated) == (15, 10)
    assert {name: trouble.first for name, trouble in account.problems.items()} == {
        "invalid_utf8": (3,),
        "empty_text": (5, 6),
        "control_character": (8,),
        "text_too_long": (9,),
    }
    assert not task.part.exists()
    assert not task.journal.exists()


def test_a_disk_that_refuses_is_told_with_the_name_of_the_output(make_task, monkeypatch):
    def refuse(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    task = make_task()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BulkError, match=rf"{task.output.name}: No space left"):
        run(task)


def test_a_run_that_dies_at_any_step_goes_on_to_the_same_bytes(make_task, translator, monkeypatch):
    known = {}

    def translate(lines):
        """As the translator, but each line only once in this test."""
        fresh = [line for line in lines if line.number not in known]
        known.update(zip(map(number_of, fresh), translator.translate(fresh), strict=True))
        return [known[line.number] for line in lines]

    whole = make_task("tsv", "whole", translate=translate)
    expected_account = run(whole)
    expected = whole.output.read_bytes()
    steps = count_steps(make_task("tsv", "counted", translate=translate), monkeypatch)
    assert steps > 12
    for step in range(steps):
        task = make_task("tsv", f"killed-at-{step}", translate=translate)
        with monkeypatch.context() as patch:
            die_at(step, patch)
            with pytest.raises(Killed):
                run(task)
        if step == steps - 1:
            assert not task.journal.exists()  # it died when all was done
        else:
            assert run(task) == expected_account
        assert task.output.read_bytes() == expected
        assert not task.journal.exists()


def test_no_line_is_translated_twice_after_it_was_saved(make_task, monkeypatch, translator):
    seen = []

    def translate(lines):
        seen.extend(line.number for line in lines)
        return translator.translate(lines)

    task = make_task(translate=translate)
    with monkeypatch.context() as patch:
        patch.setattr(journals, "sync_folder", dies_on_call(2))
        with pytest.raises(Killed):
            run(task)
    saved = load_journal(task.journal).lines
    assert saved == 8
    assert seen == list(range(1, 9))
    run(task)
    assert seen == list(range(1, 16))


def number_of(line):
    return line.number


def count_steps(task, monkeypatch):
    """How often a run touches the disk in a way that a crash can come before or after."""
    calls = 0

    def count():
        nonlocal calls
        calls += 1

    with monkeypatch.context() as patch:
        watch(patch, count)
        run(task)
    return 2 * calls


def die_at(step, patch):
    """Die before (even steps) or after (odd ones) a call that writes or renames."""
    left = step // 2

    def before():
        nonlocal left
        if left == 0 and step % 2 == 0:
            raise Killed

    def after():
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1

    watch(patch, before, after)


def watch(patch, before, after=lambda: None):
    for owner, name in [(os, "fsync"), (Path, "replace"), (Path, "unlink")]:
        real = getattr(owner, name)

        def watched(*arguments, real=real, **more):
            before()
            result = real(*arguments, **more)
            after()
            return result

        patch.setattr(owner, name, watched)


def dies_on_call(number):
    calls = 0

    def die(_folder):
        nonlocal calls
        calls += 1
        if calls == number:
            raise Killed

    return die


def stop_in_the_middle(task, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(journals, "sync_folder", dies_on_call(2))
        with pytest.raises(Killed):
            run(task)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.replace(b"Yes.", b"Yes!", 1), "not what it was"),
        (lambda raw: raw + b"\nmore", "not what it was"),
        (lambda raw: raw[:-1], "not what it was"),
        (lambda raw: raw[:20], "not what it was"),
    ],
    ids=["edited", "grown", "shrunk", "cut"],
)
def test_a_changed_input_is_refused(make_task, monkeypatch, input_file, change, message):
    task = make_task()
    stop_in_the_middle(task, monkeypatch)
    input_file.write_bytes(change(input_file.read_bytes()))
    with pytest.raises(BulkError, match=message):
        run(task)
    assert task.part.exists()


def test_other_options_are_refused(make_task, monkeypatch):
    stop_in_the_middle(make_task("jsonl"), monkeypatch)
    with pytest.raises(BulkError, match="tiny jsonl; now it is: tiny tsv"):
        run(make_task("tsv"))


def test_a_part_that_was_cut_or_removed_is_refused(make_task, monkeypatch):
    task = make_task()
    stop_in_the_middle(task, monkeypatch)
    task.part.write_bytes(b"x")
    with pytest.raises(BulkError, match="shorter"):
        run(task)
    task.part.unlink()
    with pytest.raises(BulkError, match="is gone"):
        run(task)


def test_a_journal_that_cannot_be_read_is_refused(make_task):
    task = make_task()
    task.journal.write_text("{}")
    with pytest.raises(BulkError, match="start anew"):
        run(task)


def test_what_is_there_already_is_not_overwritten(make_task):
    task = make_task()
    task.output.write_text("mine")
    with pytest.raises(BulkError, match="there already"):
        run(task)
    assert task.output.read_text() == "mine"


def test_two_runs_cannot_write_the_same_output(make_task, translator):
    task = make_task()

    def translate(lines):
        with pytest.raises(BulkError, match="another run"):
            run(task)
        return translator.translate(lines)

    run(make_task(translate=translate))


def test_an_input_that_is_missing_or_no_file_is_refused(make_task, tmp_path):
    with pytest.raises(BulkError, match="No such file"):
        run(make_task(input=tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(BulkError, match="not a file"):
        run(make_task(input=tmp_path / "pipe"))
    os.close(writer)
    assert not make_task().part.exists()


def test_an_input_that_changes_while_it_is_read_is_refused(make_task, translator, input_file):
    def translate(lines):
        with input_file.open("ab") as file:
            file.write(b"\nmore")
        return translator.translate(lines)

    with pytest.raises(BulkError, match="while it was read"):
        run(make_task(translate=translate))


def test_an_empty_input_gives_an_empty_output(make_task, input_file):
    input_file.write_bytes(b"")
    task = make_task()
    assert run(task).lines == 0
    assert task.output.read_bytes() == b""


def test_a_command_that_is_killed_again_and_again_comes_to_the_same_end(
    tiny_checkpoint, tmp_path, pairs
):
    source = tmp_path / "source.txt"
    lines = [english for english, _ in pairs[:48]]
    source.write_bytes("\n".join([*lines, ""]).encode() + b"\xff\n")
    command = [
        *(sys.executable, "-m", "app", "translate", "--checkpoints", str(tiny_checkpoint)),
        *("--beam", "1", "--window", "4", "--input", str(source), "--format", "jsonl", "--output"),
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run([*command, str(whole)], capture_output=True, text=True)
    assert done.returncode == 3
    assert "50 lines: 48 translated" not in done.stderr
    assert "49 lines: 48 translated\n1 invalid_utf8: lines 49" in done.stderr
    chance = random.Random(5)
    for windows in (1, 5):
        process = subprocess.Popen([*command, str(killed)], stderr=subprocess.DEVNULL)
        while process.poll() is None and saved_lines(killed) < 4 * windows:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = subprocess.run([*command, str(killed)], capture_output=True, text=True)
    assert last.returncode in (2, 3)  # 2: it had come to its end before it was killed
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if "." in path.name) == ["source.txt"]


def saved_lines(output):
    journal = load_journal(output.with_name(output.name + ".journal"))
    return 10**9 if output.exists() else journal.lines if journal else 0
