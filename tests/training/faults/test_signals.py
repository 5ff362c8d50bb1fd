"""SIGTERM ends training within twenty seconds whatever it is doing, and nothing is lost."""

import shutil
import signal

import pytest

from tests.training.faults.interrupted import abandoned, train_interrupted
from tests.training.faults.processes import command, end, start
from tests.training.faults.tiny_run import PAIRS, state_digest, write_run
from training.interruption import Interrupted, StopSignals, in_background

TRAINING = "max_steps = 12\nsave_every_steps = 5\nvalidate_every_steps = 6"
WITHIN_SECONDS = 20
"""torchrun, Docker and Kubernetes kill what has not ended after 30."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The digest of a run that no signal met."""
    config = write_run(tmp_path_factory.mktemp("unbroken") / "a", TRAINING)
    assert end(start(command, ["train", config], config.with_name("output.txt"))) == 0
    return state_digest(config)


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("preparing", "Stopped before training began"),
        ("training the tokenizer", "Stopped before training began"),
        ("training", "Stopped at step 3;"),
        ("validating", "Stopped at step 6;"),
        ("saving", "Stopped at step 5;"),
    ],
)
def test_the_same_command_goes_on_after_a_signal(tmp_path, unbroken, phase, said):
    config, output = write_run(tmp_path / "a", TRAINING), tmp_path / "output.txt"
    assert end(start(train_interrupted, phase, config, output), WITHIN_SECONDS) == 75
    assert said in output.read_text(encoding="utf-8")
    assert end(start(command, ["train", config], output)) == 0
    assert state_digest(config) == unbroken


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run that has links of its own for a head."""
    config = write_run(tmp_path_factory.mktemp("finished") / "a", TRAINING)
    (config.parent / "links.txt").write_text("0-0\n" * len(PAIRS))
    with config.open("a") as file:
        file.write(
            '[align]\nlinks = "links.txt"\n[head]\nmax_steps = 2\nrefinement_steps = 2\nunits = 8\n'
        )
    for name in ("train", "align"):
        assert end(start(command, [name, config], config.with_name("output.txt"))) == 0
    return config


@pytest.mark.parametrize(
    ("name", "missing"),
    [("prepare", "prepared"), ("align", "prepared/links"), ("head", None), ("gradients", None)],
)
def test_a_signal_ends_what_leaves_nothing_half_done(tmp_path, finished, name, missing):
    folder = shutil.copytree(finished.parent, tmp_path / "a")
    run, config, output = folder / "run", folder / finished.name, tmp_path / "output.txt"
    if missing is not None:
        shutil.rmtree(run / missing)
    arguments = [config, "--steps", 1] if name == "gradients" else [config]
    before = files(run)
    assert end(start(abandoned, name, arguments, output), WITHIN_SECONDS) == 75
    assert "the same command begins this again" in output.read_text(encoding="utf-8")
    assert files(run) == before
    assert end(start(command, [name, *arguments], output)) == 0


def files(folder):
    """The bytes of all files but the lock and what is being built beside its place."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock" and ".building" not in str(path)
    }


def test_a_second_signal_ends_the_process_at_once():
    stop = StopSignals()
    stop.receive(signal.SIGTERM, None)
    assert stop()
    with pytest.raises(SystemExit) as ended:
        stop.receive(signal.SIGTERM, None)
    assert ended.value.code == 128 + signal.SIGTERM


def test_only_work_that_can_be_abandoned_is():
    stop = StopSignals()
    with stop.abandoning():
        pass
    stop.receive(signal.SIGINT, None)
    with pytest.raises(Interrupted), stop.abandoning():
        raise AssertionError("not to be begun after a signal")


def test_what_goes_wrong_in_the_background_is_raised_in_front():
    def fail():
        raise KeyError("lost")

    assert in_background(lambda: 3) == 3
    with pytest.raises(KeyError, match="lost"):
        in_background(fail)
