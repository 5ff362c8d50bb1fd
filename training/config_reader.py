"""Turns a TOML file into a `TrainingConfig`, with an error that helps for every wrong line."""

import os
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from model.config import ModelConfig
from training.config import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    UNK_ID,
    AlignConfig,
    CardConfig,
    CleaningConfig,
    ConfigError,
    DataConfig,
    HeadTrainingConfig,
    TokenizerConfig,
    TrainerConfig,
    TrainingConfig,
    ValidationConfig,
)

Section = TypeVar("Section")

SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "cleaning": CleaningConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "training": TrainerConfig,
    "validation": ValidationConfig,
    "card": CardConfig,
    "align": AlignConfig,
    "head": HeadTrainingConfig,
}
DERIVED = {"source_vocabulary_size", "target_vocabulary_size"} | {
    f"{token}_id" for token in ("pad", "unk", "bos", "eos")
}
"""Fields of `ModelConfig` that follow from the tokenizer and so cannot be set."""


def read_config(path: Path) -> TrainingConfig:
    """Read a training file; relative paths in it start at its folder.

    Raises ConfigError naming the file, the section and the key, with the nearest right key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return _build(values, path.resolve().parent)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error


def setting(sections: Sequence[str], key: str, value: object) -> tuple[str, Any]:
    """The section that `key` belongs to, and `value` as the type of its field.

    Raises ConfigError for a key that none of the sections has, or a value it cannot take.
    """
    known = {name: section for section in sections for name in _settable(section)}
    if key not in known:
        where = " or ".join(f"[{section}]" for section in sections)
        raise ConfigError(f"unknown key {key!r} in {where}{_suggestion(key, list(known))}")
    hint = get_type_hints(SECTIONS[known[key]])[key]
    return known[key], _convert(value, hint, f"{key!r} in [{known[key]}]", Path())


def _build(values: dict[str, Any], folder: Path) -> TrainingConfig:
    for key in values:
        if key != "run" and key not in SECTIONS:
            raise ConfigError(f"unknown key {key!r}{_suggestion(key, ['run', *SECTIONS])}")
    if "run" not in values:
        raise ConfigError(
            "missing key 'run' at the top: the folder to write, like run = \"runs/a\""
        )
    sections = {name: _section_values(values, name, folder) for name in SECTIONS}
    tokenizer = _construct(TokenizerConfig, "tokenizer", sections["tokenizer"])
    sections["model"] |= {
        "source_vocabulary_size": tokenizer.vocabulary_size,
        "target_vocabulary_size": tokenizer.vocabulary_size,
        "pad_id": PAD_ID,
        "unk_id": UNK_ID,
        "bos_id": BOS_ID,
        "eos_id": EOS_ID,
    }
    return TrainingConfig(
        run=_convert(values["run"], Path, "run", folder),
        data=_construct(DataConfig, "data", sections["data"]),
        cleaning=_construct(CleaningConfig, "cleaning", sections["cleaning"]),
        tokenizer=tokenizer,
        model=_construct(ModelConfig, "model", sections["model"]),
        training=_construct(TrainerConfig, "training", sections["training"]),
        validation=_construct(ValidationConfig, "validation", sections["validation"]),
        card=_construct(CardConfig, "card", sections["card"]),
        align=_construct(AlignConfig, "align", sections["align"]),
        head=_construct(HeadTrainingConfig, "head", sections["head"]),
    )


def _settable(section: str) -> list[str]:
    return [item.name for item in fields(SECTIONS[section]) if item.name not in DERIVED]


def _section_values(values: dict[str, Any], section: str, folder: Path) -> dict[str, Any]:
    given = values.get(section, {})
    if not isinstance(given, dict):
        raise ConfigError(f"{section!r} is {given!r}; it must be a section [{section}]")
    known = _settable(section)
    hints = get_type_hints(SECTIONS[section])
    for key in given:
        if key not in known:
            raise ConfigError(f"unknown key {key!r} in [{section}]{_hint(key, section)}")
    for item in fields(SECTIONS[section]):
        required = item.default is MISSING and item.default_factory is MISSING
        if required and item.name in known and item.name not in given:
            raise ConfigError(f"missing key {item.name!r} in [{section}]")
    return {
        key: _convert(value, hints[key], f"{key!r} in [{section}]", folder)
        for key, value in given.items()
    }


def _construct(cls: type[Section], section: str, values: dict[str, Any]) -> Section:
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"[{section}] {error}") from error


def _hint(key: str, section: str) -> str:
    if key in DERIVED:
        return f"; {key} follows from the tokenizer"
    near = _suggestion(key, _settable(section))
    elsewhere = [name for name in SECTIONS if name != section and key in _settable(name)]
    return f"; it belongs in [{elsewhere[0]}]" if elsewhere else near


def _suggestion(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _convert(value: Any, wanted: Any, where: str, folder: Path) -> Any:  # noqa: ANN401
    """One TOML value as the type of its field; `wanted` is a type or a typing construct."""
    origin = get_origin(wanted)
    if origin in (Union, UnionType):  # only `X | None` is used; TOML has no None
        (inner,) = (argument for argument in get_args(wanted) if argument is not NoneType)
        return _convert(value, inner, where, folder)
    if origin is Literal:
        return _choice(value, get_args(wanted), where)
    if origin is tuple:
        items = value if isinstance(value, list) else [value]
        return tuple(_convert(item, Path, where, folder) for item in items)
    if wanted is Path:
        return _path(_typed(value, str, where), where, folder)
    return _typed(value, wanted, where)


def _path(text: str, where: str, folder: Path) -> Path:
    try:
        return Path(os.path.normpath(folder / Path(text).expanduser()))
    except RuntimeError as error:  # there is no such user
        raise ConfigError(f"{where} is {text!r}: {error}") from error


def _choice(value: object, allowed: tuple[str, ...], where: str) -> object:
    if value not in allowed:
        raise ConfigError(f"{where} is {value!r}; it must be one of {', '.join(allowed)}")
    return value


def _typed(value: Any, wanted: type, where: str) -> Any:  # noqa: ANN401
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(
            f"{where} is {value!r}, of type {type(value).__name__}; "
            f"it must be of type {wanted.__name__}"
        )
    return value
