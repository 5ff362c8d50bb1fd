"""What the killed processes of the tests do; apart from the tests, so that they start at once."""

import os
import resource
import struct

import torch

from model.checkpoint import load_checkpoint, save_checkpoint
from training.resume import ResumeStore


def acknowledge(progress, step):
    with progress.open("r+b") as file:
        os.pwrite(file.fileno(), struct.pack("<q", step), 0)


def acknowledged(progress):
    return struct.unpack("<q", progress.read_bytes())[0]


def save_states_for_ever(folder, progress):
    store = ResumeStore(folder)
    state, _ = store.load()
    step = state["step"] if state else 0
    while True:
        step += 1
        store.save(step, {"step": step, "weights": torch.full((30_000,), float(step))})
        acknowledge(progress, step)


def save_checkpoints_for_ever(folder, progress, like):
    checkpoint = load_checkpoint(like)
    step = load_checkpoint(folder).manifest.training["step"] if acknowledged(progress) else 0
    while True:
        step += 1
        save_checkpoint(
            folder,
            model=checkpoint.model,
            source_tokenizer=checkpoint.source_tokenizer,
            target_tokenizer=checkpoint.target_tokenizer,
            source_language="en",
            target_language="fr",
            training={"step": step},
            metrics={},
            card="",
        )
        acknowledge(progress, step)


def save_beyond_the_limit(folder, outcome):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        ResumeStore(folder).save(9, {"weights": torch.zeros(100_000)})
    except OSError as error:
        outcome.write_text(error.strerror[:90])
