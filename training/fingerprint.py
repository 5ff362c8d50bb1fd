"""Says whether two runs would see the same data: a digest, and what differs when it does."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from training.config import TrainingConfig
from training.corpus import CorpusError
from training.taken_tokenizers import taken_tokenizers

PREPARED_FORMAT = 3
"""Raised whenever `prepare` would write something else from the same input."""


def data_components(config: TrainingConfig) -> dict[str, str]:
    """Everything the prepared corpus depends on, one readable value each; reads every file.

    Files count by their content, so a moved corpus is still the same one. Raises CorpusError
    for a file that cannot be read, and what `taken_tokenizers` does.
    """
    components = {"format": str(PREPARED_FORMAT), "data.reverse": str(config.data.reverse)}
    components["data.on_bad_line"] = config.data.on_bad_line
    for name in ("made_up_names", "rare_names"):
        if value := getattr(config.data, name):  # what was prepared before has none of these names
            components[f"data.{name}"] = str(value)
    for name in ("train", "validation"):
        for number, path in enumerate(getattr(config.data, name)):
            components[f"data.{name}[{number}]"] = f"sha256 {_file_digest(path)}"
    for section in ("cleaning", "tokenizer"):
        for key, value in asdict(getattr(config, section)).items():
            components[f"{section}.{key}"] = str(value)
    del components["tokenizer.take_from"]
    if (folder := config.tokenizer.take_from) is not None:
        # As of files, what counts is what they hold and not where they lie.
        digest = hashlib.sha256(b"\n".join(taken_tokenizers(folder, config))).hexdigest()
        components["tokenizer.take_from"] = f"sha256 {digest}"
    return components


def fingerprint(components: Mapping[str, str]) -> str:
    """One sha256 over all components."""
    return hashlib.sha256(json.dumps(dict(components), sort_keys=True).encode()).hexdigest()


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """One line for each component that changed, came or went; none if both are equal."""
    return [
        f"{key}: {before.get(key, 'absent')} → {after.get(key, 'absent')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _file_digest(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise CorpusError(f"{path}: not a regular file (it is read more than once)")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
