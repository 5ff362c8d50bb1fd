"""The manifest of a checkpoint: what its files are and what they fit, as strict JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from model.alignment_head import HeadConfig
from model.config import ModelConfig

FORMAT = 1
"""Raised when a checkpoint changes so that older code could not read it rightly."""
WEIGHTS_FILE = "model.safetensors"
HEAD_FILE = "alignment_head.safetensors"
CARD_FILE = "MODEL_CARD.md"

Value = TypeVar("Value")


class ManifestError(ValueError):
    """A manifest that cannot be used; the message begins with the field that is wrong."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a file of the checkpoint must be."""

    sha256: str
    """Hexadecimal digest of its bytes."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is known about a checkpoint without opening another of its files."""

    name: str
    """What the model is called, wherever its folder is copied."""
    source_language: str
    target_language: str
    config: ModelConfig
    source_tokenizer: str
    """File of the source side's tokenizer."""
    target_tokenizer: str
    """File of the target side's; the same one where the vocabulary is joint."""
    files: dict[str, FileEntry]
    """Every file but the manifest itself, by name."""
    training: dict[str, Any]
    """Provenance: data, recipe, versions; free in form."""
    metrics: dict[str, Any]
    """What the model was measured at; free in form."""
    alignment_head: HeadConfig | None = None
    """Shape of the alignment head, whose weights are then in a file of their own."""
    format: int = FORMAT

    def to_json(self) -> str:
        """Readable JSON; ManifestError where `training` or `metrics` holds what JSON has not."""
        values = asdict(self)
        if self.alignment_head is None:
            del values["alignment_head"]
        try:
            return json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        except (TypeError, ValueError) as error:
            raise ManifestError(f"training or metrics: not plain JSON ({error})") from error

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read `to_json`'s output back; ManifestError for anything else, naming the field.

        Unknown, absent and repeated keys are errors: a manifest is written by this code alone, so
        any of them means that the file was damaged, edited, or made by a later version. Only
        `alignment_head` is absent from a model that has none, and its `refinement_channels` from
        one that was written before there were any.
        """
        values = _parse(text)
        number = _typed(values, "format", int)
        if number != FORMAT:
            raise ManifestError(
                f"format: is {number}, this version reads {FORMAT}; "
                + ("install a newer version" if number > FORMAT else "train or convert it again")
            )
        optional = {"alignment_head"} - values.keys()
        _check_keys(values, set(cls.__dataclass_fields__) - optional, "")
        files = {
            name: _file_entry(name, entry) for name, entry in _typed(values, "files", dict).items()
        }
        manifest = cls(
            name=_typed(values, "name", str),
            source_language=_typed(values, "source_language", str),
            target_language=_typed(values, "target_language", str),
            config=_config(_typed(values, "config", dict)),
            source_tokenizer=_typed(values, "source_tokenizer", str),
            target_tokenizer=_typed(values, "target_tokenizer", str),
            files=files,
            training=_typed(values, "training", dict),
            metrics=_typed(values, "metrics", dict),
            alignment_head=_head(values),
        )
        for field in ("source_tokenizer", "target_tokenizer"):
            _check_listed(field, values[field], files)
        _check_listed("files", WEIGHTS_FILE, files)
        if manifest.alignment_head is not None:
            _check_listed("alignment_head", HEAD_FILE, files)
        return manifest


def _parse(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_not_a_number)
    except RecursionError as error:
        raise ManifestError("nested too deeply to be a manifest") from error
    except json.JSONDecodeError as error:
        raise ManifestError(f"not valid JSON ({error})") from error
    if not isinstance(values, dict):
        raise ManifestError(f"is {type(values).__name__} at the top; it must be an object")
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ManifestError(f"{repeated[0]}: appears more than once")
    return values


def _not_a_number(constant: str) -> None:
    raise ManifestError(f"holds {constant}, which JSON has not")


def _check_keys(values: Mapping[str, Any], wanted: set[str], where: str) -> None:
    for problem, names in (
        ("missing", wanted - values.keys()),
        ("unknown", values.keys() - wanted),
    ):
        if names:
            raise ManifestError(f"{where}{min(names)}: {problem} field")


def _typed(values: Mapping[str, Any], field: str, wanted: type[Value], where: str = "") -> Value:
    if field not in values:
        raise ManifestError(f"{where}{field}: missing field")
    value = values[field]
    if type(value) is not wanted:
        raise ManifestError(
            f"{where}{field}: is {value!r:.80}, of type {type(value).__name__}; "
            f"it must be of type {wanted.__name__}"
        )
    return value


def _file_entry(name: str, entry: object) -> FileEntry:
    plain = name == PurePosixPath(name).name and name not in ("", "..")
    if not plain or set(name) & set("\\\0"):
        raise ManifestError(f"files: {name!r} is a path; it must be the plain name of a file")
    where = f"files.{name}."
    if not isinstance(entry, dict):
        raise ManifestError(f"files.{name}: is {entry!r:.80}; it must be an object")
    _check_keys(entry, {"sha256", "size"}, where)
    return FileEntry(_typed(entry, "sha256", str, where), _typed(entry, "size", int, where))


def _config(values: dict[str, Any]) -> ModelConfig:
    missing = ModelConfig.__dataclass_fields__.keys() - values.keys()
    if missing:
        raise ManifestError(f"config.{min(missing)}: missing field")
    try:
        return ModelConfig.from_dict(values)
    except ValueError as error:
        raise ManifestError(f"config: {error}") from error


def _head(values: Mapping[str, Any]) -> HeadConfig | None:
    if "alignment_head" not in values:
        return None
    where = "alignment_head."
    head = _typed(values, "alignment_head", dict)
    optional = {"refinement_channels"} - head.keys()
    _check_keys(head, set(HeadConfig.__dataclass_fields__) - optional, where)
    try:
        return HeadConfig(
            units=_typed(head, "units", int, where),
            threshold=_typed(head, "threshold", float, where),
            refinement_channels=0 if optional else _typed(head, "refinement_channels", int, where),
        )
    except ManifestError:
        raise
    except ValueError as error:
        raise ManifestError(f"{where}{error}") from error


def _check_listed(field: str, name: str, files: Mapping[str, FileEntry]) -> None:
    if name not in files:
        raise ManifestError(f"{field}: {name!r} is not among files ({', '.join(sorted(files))})")
