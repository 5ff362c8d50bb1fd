"""The variants of a comparison: every combination of the settings that are varied."""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from training.config import ConfigError, TrainingConfig
from training.config_reader import setting
from training.resume import INDIFFERENT, resumable_settings

SECTIONS = ("model", "training")
SPOKEN = {
    ("attention", "none"): "fixed vector",
    ("attention", "additive"): "attention",
    ("attention_query", "previous"): "previous query",
    ("attention_query", "conditional"): "conditional query",
    ("cell", "rnn"): "tanh",
    ("cell", "lstm"): "LSTM",
    ("cell", "gru"): "GRU",
}
"""What a person would call a choice; any other is shown as `key value`."""

FIXED = (
    dict.fromkeys(INDIFFERENT, "it does not decide which weights come out")
    | dict.fromkeys(
        ("max_steps", "max_epochs"), "all variants get the budget of --steps or --seconds"
    )
    | {"start_from": "all variants begin alike; set it in [training] of the configuration"}
)
"""Settings that cannot be varied, and why."""


@dataclass(frozen=True, slots=True)
class Variation:
    """One setting and the values it takes."""

    section: str
    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination of the varied settings."""

    choices: dict[str, Any]
    """The varied settings and their values, in the order in which they were asked for."""
    config: TrainingConfig

    @property
    def label(self) -> str:
        """How figures and tables name it."""
        return " · ".join(spoken(key, value) for key, value in self.choices.items())

    def key(self, **more: object) -> str:
        """A digest of all that decides its figures, with whatever else does."""
        plain = {**resumable_settings(self.config), **more}
        text = json.dumps(plain, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_variation(text: str) -> Variation:
    """Parse `key=value,value`, where key is a setting of [model] or [training].

    Raises ConfigError naming what is wrong.
    """
    key, equals, values = text.partition("=")
    key = key.strip()
    if not equals or not values.strip():
        raise ConfigError(f"--vary {text!r} is not of the form key=value,value")
    if key in FIXED:
        raise ConfigError(f"--vary {key}: {FIXED[key]}")
    texts = [value.strip() for value in values.split(",")]
    section, _ = setting(SECTIONS, key, _parsed(texts[0]))
    parsed = [setting((section,), key, _parsed(value))[1] for value in texts]
    if len(set(parsed)) < len(parsed):
        raise ConfigError(f"--vary {text!r} names a value twice")
    return Variation(section, key, tuple(parsed))


def variants(config: TrainingConfig, variations: Sequence[Variation]) -> list[Variant]:
    """Every combination, the last setting varying fastest.

    Raises ConfigError if a setting is varied twice or a combination is impossible.
    """
    keys = [variation.key for variation in variations]
    if len(set(keys)) < len(keys):
        raise ConfigError(f"--vary names a setting twice: {', '.join(keys)}")
    return [
        _variant(config, variations, values)
        for values in product(*(variation.values for variation in variations))
    ]


def spoken(key: str, value: object) -> str:
    """A choice in words."""
    return SPOKEN.get((key, str(value)), f"{key} {value}")


def _variant(
    config: TrainingConfig, variations: Sequence[Variation], values: tuple[Any, ...]
) -> Variant:
    changes: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for variation, value in zip(variations, values, strict=True):
        changes[variation.section][variation.key] = value
    choices = {variation.key: value for variation, value in zip(variations, values, strict=True)}
    try:
        model = replace(config.model, **changes["model"])
        gold = config.validation.gold_align if model.attention != "none" else ()
        varied = replace(
            config,
            model=model,
            training=replace(config.training, **changes["training"]),
            validation=replace(config.validation, gold_align=gold),
        )
    except ValueError as error:
        shown = ", ".join(f"{key}={value}" for key, value in choices.items())
        raise ConfigError(f"variant {shown}: {error}") from error
    return Variant(choices, varied)


def _parsed(text: str) -> object:
    """A value as TOML would read it, so that `0.1` is a number; anything else is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
