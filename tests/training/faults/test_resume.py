"""A run that was killed ends in the bits of one that was not; another run is not gone on with."""

import json
import subprocess
import sys
import time

import pytest

from tests.training.faults.processes import command, end, start
from tests.training.faults.tiny_run import saved_step, state_digest, store, write_run
from training.interruption import run_lock

LONG = "max_steps = 60\nsave_every_steps = 5\nvalidate_every_steps = 25"


def run(config, *, seconds=120):
    """`python -m training train` to its end; its exit status and what it printed."""
    output = config.with_name("output.txt")
    status = end(start(command, ["train", config], output), seconds)
    return status, output.read_text(encoding="utf-8").replace("\n", " ")


def run_until_killed(config, step):
    process = start(command, ["train", config], config.with_name("output.txt"))
    while saved_step(config) < step:
        assert process.is_alive()
        time.sleep(0.001)
    process.kill()
    assert end(process) == -9


def test_a_run_killed_twice_ends_in_the_bits_of_an_unbroken_one(tmp_path):
    unbroken = write_run(tmp_path / "unbroken", LONG)
    assert run(unbroken)[0] == 0

    killed = write_run(tmp_path / "killed", LONG)
    batches = []
    for step in (5, 30):
        run_until_killed(killed, step)
        batches.append(store(killed).load()[0]["position"]["batch"])
    assert any(batches), "every kill hit the edge of an epoch"
    # The last stretch in an interpreter that has nothing in common with the ones before.
    last = [sys.executable, "-m", "training", "train", str(killed)]
    subprocess.run(last, check=True, capture_output=True)

    assert saved_step(killed) == saved_step(unbroken) == 60
    assert state_digest(killed) == state_digest(unbroken)
    manifests = [
        json.loads((config.parent / "run/checkpoint/manifest.json").read_text(encoding="utf-8"))
        for config in (killed, unbroken)
    ]
    assert manifests[0] == manifests[1]


@pytest.fixture
def begun(tmp_path):
    """A run of six updates."""
    config = write_run(tmp_path / "a", "max_steps = 6\nsave_every_steps = 3")
    assert run(config)[0] == 0
    return config


def test_other_settings_are_refused_with_their_difference(begun):
    text = begun.read_text(encoding="utf-8")
    begun.write_text(
        text.replace("max_steps = 6", "max_steps = 9\nlearning_rate = 0.5").replace(
            "dropout = 0.2", "dropout = 0.3"
        ),
        encoding="utf-8",
    )
    status, printed = run(begun)
    assert status == 4
    for change in (
        "model.dropout: 0.2 → 0.3",
        "training.learning_rate: 0.002 → 0.5",
        "training.max_steps: 6 → 9",
    ):
        assert change in printed


def test_other_data_is_refused_and_the_prepared_corpus_stays(begun):
    prepared = begun.parent / "run/prepared/manifest.json"
    before = prepared.read_bytes()
    with (begun.parent / "pairs.tsv").open("a", encoding="utf-8") as file:
        file.write("the cat is here\tle cat is here\n")
    status, printed = run(begun)
    assert status == 4
    assert "data.train[0]: sha256" in printed
    assert "data.validation[0]: sha256" in printed
    assert prepared.read_bytes() == before


def test_settings_that_change_no_bit_may_change(begun):
    text = begun.read_text(encoding="utf-8")
    begun.write_text(text.replace("save_every_steps = 3", "patience = 9"), encoding="utf-8")
    assert run(begun)[0] == 0


def test_nothing_but_damaged_states_never_begins_again_silently(begun):
    for path in store(begun).files():
        path.write_bytes(path.read_bytes()[:-1])
    status, printed = run(begun)
    assert status == 4
    assert "start again from step 0" in printed


def test_a_damaged_newest_state_costs_one_interval(begun):
    newest = store(begun).files()[0]
    newest.write_bytes(b"")
    status, printed = run(begun)
    assert status == 0
    assert "damaged" in printed
    assert "Going on from step 3" in printed
    assert saved_step(begun) == 6


def test_a_run_folder_in_use_is_refused(begun):
    with run_lock(begun.parent / "run"):
        status, printed = run(begun)
    assert status == 5
    assert "is in use by process" in printed
