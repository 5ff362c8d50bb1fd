"""Commands that a signal meets in a phase of our choosing; they run in processes of their own."""

import json
import os
import random
import signal
import threading
import time

import training.head
import training.prepare
import training.resume
import training.run
import training.silver
import training.textbook.gradients
import training.validation
from tests.training.faults.processes import command
from training.config import TokenizerConfig
from training.tokenizer_training import train_tokenizer

FOR_EVER = 60


def stop_and_dawdle(*_arguments, **_options):
    """Stands in for work that takes long: the signal comes, and it goes on for a minute."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(FOR_EVER)


def train_tokenizer_for_long(*_):
    """Sentencepiece itself, in C++, on a text that keeps it busy, with a signal in the midst."""
    words = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    text = [
        " ".join("".join(words.choices(letters, k=words.randint(2, 9))) for _ in range(12))
        for _ in range(30_000)
    ]
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    return train_tokenizer(text, TokenizerConfig())


def train_interrupted(phase, config, output):
    """`python -m training train`, with the signal in one phase of it."""

    def at_third_update(learn):
        def learn_and_signal(trainer, batch):
            if trainer.position.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return learn(trainer, batch)

        return learn_and_signal

    def while_saving_step_five(write):
        def write_and_signal(path, content):
            if path.name.startswith("step-00000005"):
                training.resume.write_durably = write
                os.kill(os.getpid(), signal.SIGTERM)
            write(path, content)

        return write_and_signal

    match phase:
        case "preparing":
            training.prepare.clean = stop_and_dawdle
        case "training the tokenizer":
            training.prepare.train_tokenizer = train_tokenizer_for_long
        case "training":
            training.run.Trainer.learn = at_third_update(training.run.Trainer.learn)
        case "validating":
            training.validation.translate = stop_and_dawdle
        case "saving":
            training.resume.write_durably = while_saving_step_five(training.resume.write_durably)
    command(["train", config], output)


def abandoned(name, arguments, output):
    """A command that leaves nothing half done, with the signal in the midst of its work."""
    owner, work = {
        "prepare": (training.prepare, "clean"),
        "align": (training.silver, "pharaoh_links"),
        "head": (training.head.HeadTrainer, "train"),
        "gradients": (training.textbook.gradients, "measure"),
    }[name]
    setattr(owner, work, stop_and_dawdle)
    command([name, *arguments], output)


def train_as_rank(rank, world, port, config, output, noted=None, options=()):
    """`python -m training train` as one of several processes, as `torchrun` would start it.

    Losses and pairs of every update go to the file `noted`.
    """
    learn = training.run.Trainer.learn

    def learn_and_note(trainer, batch):
        update = learn(trainer, batch)
        if noted is not None:
            with noted.open("a") as file:
                values = (trainer.position.epoch, update.loss, update.tokens, batch.indices)
                file.write(json.dumps(values) + "\n")
        return update

    training.run.Trainer.learn = learn_and_note
    environment = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    command(["train", config, *options], output, environment)


def train_as_rank_killed_while_saving(step, *arguments):
    """The same, but killed in the midst of writing the state of `step`."""
    write = training.resume.write_durably

    def killed(path, content):
        if path.name.startswith(f"step-{step:08d}"):
            path.with_name(f".{path.name}.1.tmp").write_bytes(bytes(content[:1000]))
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    training.resume.write_durably = killed
    train_as_rank(*arguments)
