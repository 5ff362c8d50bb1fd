"""Losses and gradients that are not finite, and disks that refuse: told, counted, survived."""

import errno
import io
import math
import shutil

import pytest
import torch
from rich.console import Console

import training.divergence
import training.passes
import training.run
from model.checkpoint import load_checkpoint
from tests.training.faults.tiny_run import saved_step, store, write_run
from training.__main__ import main
from training.config_reader import read_config
from training.divergence import Divergence
from training.resume import write_durably
from training.run import ROLLBACKS, WRITES_TRIED, train
from training.trainer import NonFiniteError, Trainer, TrainingError, Update
from training.validation import Validator

SETTINGS = "max_steps = 12\nsave_every_steps = 5\nvalidate_every_steps = 12"


@pytest.fixture
def config(tmp_path):
    return write_run(tmp_path / "a", SETTINGS)


def run(config):
    """A whole run in this process; the folder of the checkpoint and what was printed."""
    output = io.StringIO()
    console = Console(file=output, width=1000)
    return train(read_config(config), console), output.getvalue()


def newest(config):
    state, _ = store(config).load()
    return state


def spoil(monkeypatch, updates, factor=math.nan):
    """Multiply the loss of these updates (numbered from 1, every attempt counts)."""
    right, count = training.passes.label_smoothed_cross_entropy, iter(range(1, 10**6))

    def wrong(*arguments, **options):
        sums = right(*arguments, **options)
        if next(count) not in updates:
            return sums
        return type(sums)(sums.smoothed * factor, sums.negative_log_likelihood, sums.tokens)

    monkeypatch.setattr(training.passes, "label_smoothed_cross_entropy", wrong)


def all_finite(state):
    return all(
        torch.isfinite(value).all()
        for part in ("model", "average")
        for value in state[part].values()
    )


def test_a_single_bad_loss_is_skipped_and_counted(config, monkeypatch):
    spoil(monkeypatch, {4, 7, 8})
    assert run(config)[0] is not None
    state = newest(config)
    assert state["position"]["skipped"] == 3
    assert state["position"]["rollbacks"] == 0
    assert state["position"]["step"] == 12
    assert all_finite(state)


def test_an_infinite_gradient_is_skipped_too(config, monkeypatch):
    learn, first = Trainer.learn, torch.zeros(1, dtype=torch.long)

    def at_step_three(trainer, batch):
        if trainer.position.step != 3:
            return learn(trainer, batch)
        bias = trainer.model.output.bias
        handle = bias.register_hook(lambda gradient: gradient.index_fill(0, first, math.inf))
        update = learn(trainer, batch)
        handle.remove()
        return update

    monkeypatch.setattr(Trainer, "learn", at_step_three)
    run(config)
    state = newest(config)
    assert state["position"]["skipped"] == 1
    assert all_finite(state)


def test_three_bad_losses_in_a_row_go_back_to_the_last_state_at_half_the_rate(config, monkeypatch):
    spoil(monkeypatch, {7, 8, 9})
    rates = []
    learn = Trainer.learn

    def noted(trainer, batch):
        update = learn(trainer, batch)
        rates.append((trainer.position.step, update.learning_rate))
        return update

    monkeypatch.setattr(Trainer, "learn", noted)
    folder, printed = run(config)
    assert "not finite for 3 updates in a row" in printed
    assert "Going back to step 5, on with half the learning rate (1 of 3 times)" in printed
    assert [step for step, _ in rates] == [*range(8), *range(5, 12)]
    assert rates[8][1] == pytest.approx(rates[5][1] / 2)
    state = newest(config)
    assert (state["position"]["skipped"], state["position"]["rollbacks"]) == (3, 1)
    assert state["position"]["step"] == 12
    assert all_finite(state)
    assert load_checkpoint(folder).manifest.training["step"] == 12


def test_a_run_goes_back_to_its_start_where_nothing_else_was_saved(config, monkeypatch):
    spoil(monkeypatch, {1, 2, 3})
    _, printed = run(config)
    assert "Going back to step 0" in printed
    assert newest(config)["position"]["step"] == 12


def test_what_never_becomes_finite_ends_with_the_pairs_and_keeps_the_last_state(
    config, monkeypatch
):
    spoil(monkeypatch, range(7, 10**6))
    with pytest.raises(
        NonFiniteError, match=r"step 7: .* on training pairs \[\d+, .*learning_rate"
    ):
        run(config)
    assert saved_step(config) == 5
    assert newest(config)["position"]["skipped"] == 0
    assert ROLLBACKS == 3


def test_the_command_tells_it_in_one_line_and_with_its_own_status(config, monkeypatch, capsys):
    spoil(monkeypatch, range(7, 10**6))
    monkeypatch.setattr("sys.argv", ["training", "train", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: step 7: loss or gradient not finite")


def test_a_validation_that_is_not_finite_is_never_the_best(config, monkeypatch):
    text = config.read_text()
    config.write_text(text.replace("validate_every_steps = 12", "validate_every_steps = 6"))
    loss, losses = Validator.loss, iter([5.0, math.nan])
    monkeypatch.setattr(Validator, "loss", lambda self, model: next(losses) + 0 * loss(self, model))
    folder, printed = run(config)
    assert "not finite, not kept" in printed
    assert newest(config)["position"]["best_step"] == 6
    assert load_checkpoint(folder).manifest.training["step"] == 6


def test_no_finite_validation_means_no_checkpoint_and_says_so(config, monkeypatch):
    monkeypatch.setattr(Validator, "loss", lambda *_: math.nan)
    with pytest.raises(TrainingError, match="no validation had a finite loss"):
        run(config)


def test_a_loss_that_leaves_all_reason_ends_the_run(config, monkeypatch):
    monkeypatch.setattr(training.divergence, "WINDOW", 10)
    text = config.read_text().replace("max_steps = 12", "max_steps = 60\nlearning_rate = 1.0")
    config.write_text(text)
    with pytest.raises(TrainingError, match=r"loss has diverged, to .* where guessing has 5\.9"):
        run(config)
    assert all_finite(newest(config))


def test_a_spike_is_no_divergence():
    watching = Divergence(1000)
    losses = [7.0] * 60 + [300.0, math.nan] + [6.0] * 98
    for step, loss in enumerate(losses):
        watching.watch(step, Update(loss, 10, 1.0, 1e-3, 0.1))
    with pytest.raises(TrainingError, match="diverged"):
        worse_and_worse(watching)


def worse_and_worse(watching):
    for step in range(100):
        watching.watch(step, Update(12.0, 10, 1.0, 1e-3, 0.1))


def refuse(monkeypatch, steps):
    """Let the disk be full whenever the state of one of these steps is written."""

    def full(path, content):
        if int(path.name[5:13]) in steps:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_durably(path, content)

    monkeypatch.setattr(training.resume, "write_durably", full)


def test_a_disk_that_is_full_for_a_while_costs_nothing_but_a_line(config, monkeypatch):
    refuse(monkeypatch, {5})
    folder, printed = run(config)
    assert folder is not None
    assert "No space left on device" in printed
    assert "training goes on, trying again later" in printed
    assert saved_step(config) == 12


def test_a_disk_that_stays_full_ends_training_and_leaves_the_state_before(config, monkeypatch):
    config.write_text(config.read_text().replace("save_every_steps = 5", "save_every_steps = 1"))
    refuse(monkeypatch, range(3, 100))
    with pytest.raises(
        TrainingError, match=f"No space left .* failed {WRITES_TRIED} times in a row"
    ):
        run(config)
    assert saved_step(config) == 2


def test_saved_states_that_are_deleted_meanwhile_are_made_again(config, monkeypatch):
    at_step(monkeypatch, 3, lambda: shutil.rmtree(config.parent / "run" / "resume"))
    folder, _ = run(config)
    assert saved_step(config) == 12
    assert load_checkpoint(folder).manifest.training["step"] == 12


def test_a_folder_that_can_be_written_no_more_ends_training_in_one_line(config, monkeypatch):
    config.write_text(config.read_text().replace("save_every_steps = 5", "save_every_steps = 1"))

    def replaced():
        shutil.rmtree(config.parent / "run" / "resume")
        (config.parent / "run" / "resume").write_text("no folder")

    at_step(monkeypatch, 3, replaced)
    with pytest.raises(TrainingError, match=r"not written \(File exists\).* 3 times in a row"):
        run(config)


def at_step(monkeypatch, step, work):
    learn = Trainer.learn

    def learn_after(trainer, batch):
        if trainer.position.step == step:
            work()
        return learn(trainer, batch)

    monkeypatch.setattr(Trainer, "learn", learn_after)


def test_a_checkpoint_that_cannot_be_written_is_tried_again_by_the_same_command(
    config, monkeypatch
):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(training.run, "save_checkpoint", full)
        with pytest.raises(TrainingError, match="the same command tries again"):
            run(config)
    assert not (config.parent / "run" / "checkpoint").exists()
    folder, _ = run(config)
    assert load_checkpoint(folder).manifest.training["step"] == 12
