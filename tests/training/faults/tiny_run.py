"""A run that takes a second: 144 sentences of a made-up language, 16 units, dropout."""

import hashlib
from pathlib import Path

import torch

from training.config_reader import read_config
from training.resume import ResumeStore

ANIMALS = ["cat", "dog", "bird", "fish", "horse", "cow"]
VERBS = ["sees", "likes", "hears", "follows"]
PAIRS = [
    f"the {a} {v} the {b}\tle {b} {v} le {a}\n" for a in ANIMALS for v in VERBS for b in ANIMALS
]


def write_run(folder: Path, training: str = "", pairs: list[str] = PAIRS) -> Path:
    """The corpus and the TOML file, whose path is returned, in a new folder."""
    folder.mkdir(parents=True)
    (folder / "pairs.tsv").write_text("".join(pairs), encoding="utf-8")
    (folder / "run.toml").write_text(
        f"""
        run = "run"
        [data]
        train = "pairs.tsv"
        validation = "pairs.tsv"
        source_language = "en"
        target_language = "fr"
        [cleaning]
        max_pieces = 60
        [tokenizer]
        vocabulary_size = 370
        [model]
        embedding_size = 16
        encoder_units = 16
        decoder_units = 16
        attention_units = 16
        dropout = 0.2
        [validation]
        max_pairs = 4
        beam_size = 1
        samples = 1
        [training]
        max_batch_tokens = 400
        warmup_steps = 4
        threads = 1
        {training}
        """
    )
    return folder / "run.toml"


def store(config: Path) -> ResumeStore:
    return ResumeStore(read_config(config).run / "resume")


def saved_step(config: Path) -> int:
    """The newest step whose state is saved, 0 if there is none."""
    files = store(config).files()
    return int(files[0].name[5:13]) if files else 0


def state_digest(config: Path) -> str:
    """SHA-256 over weights, optimiser, schedule, average, random state and place in the data."""
    state, complaints = store(config).load()
    assert state is not None
    assert complaints == []
    return digest(state)


def digest(state) -> str:
    total = hashlib.sha256()

    def walk(value):
        match value:
            case dict():
                for key in sorted(value, key=str):
                    total.update(f"{key}:".encode())
                    walk(value[key])
            case list() | tuple():
                for item in value:
                    walk(item)
            case torch.Tensor():
                total.update(value.cpu().contiguous().numpy().tobytes())
            case _:
                total.update(f"{value!r};".encode())

    walk(state)
    return total.hexdigest()
