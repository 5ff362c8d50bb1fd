"""The models that are loaded: found on disk, and chosen by each request."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import FieldError, InvalidInputError
from model.alignment import AlignmentKind
from model.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from model.manifest import Manifest, ManifestError

MANIFEST = "manifest.json"
RUN_CHECKPOINT = "checkpoint"
"""Folder of a training run that holds its checkpoint."""
RUN_CORPUS = "prepared"
"""Folder of a training run that holds its corpus, with a manifest of another kind."""


class StartupError(Exception):
    """The service cannot start; the message says in one line why and what to do."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A checkpoint in use, under the name that requests call it by."""

    name: str
    checkpoint: Checkpoint

    @property
    def digest(self) -> str:
        """Which weights these are: equal digests, equal models."""
        return self.checkpoint.digest

    @property
    def identity(self) -> str:
        """`name@digest`, as replies name the model and the scheduler knows it."""
        return f"{self.name}@{self.digest}"

    @property
    def source_language(self) -> str:
        """Language that it reads."""
        return self.checkpoint.manifest.source_language

    @property
    def target_language(self) -> str:
        """Language that it writes."""
        return self.checkpoint.manifest.target_language

    @property
    def has_attention(self) -> bool:
        """Whether it weighs source positions at all, and so gives alignments."""
        return self.checkpoint.manifest.config.attention != "none"

    @property
    def alignment_kinds(self) -> list[AlignmentKind]:
        """The kinds of alignment that it gives."""
        if not self.has_attention:
            return []
        return ["attention"] if self.checkpoint.alignment_head is None else ["attention", "head"]

    def threshold(self, kind: AlignmentKind) -> float | None:
        """Weight from which on links of this kind begin; None where only the best are links."""
        head = self.checkpoint.manifest.alignment_head
        return head.threshold if kind == "head" and head is not None else None

    def alignment_error(self, kind: AlignmentKind) -> float | None:
        """Error against gold links, in percent, as its manifest has it; None where it has none."""
        metrics = self.checkpoint.manifest.metrics
        by_kind = metrics.get("alignment")
        if kind == "attention" and by_kind is None:
            by_kind = {kind: metrics}
        of_kind = by_kind.get(kind) if isinstance(by_kind, dict) else None
        error = of_kind.get("aer") if isinstance(of_kind, dict) else None
        return float(error) if isinstance(error, int | float) else None


class LoadedModels:
    """The models in use, in the order of their names."""

    def __init__(self, models: Iterable[LoadedModel]) -> None:
        self._by_name = {model.name: model for model in sorted(models, key=lambda one: one.name)}

    def __iter__(self) -> Iterator[LoadedModel]:
        return iter(self._by_name.values())

    def get(self, name: str) -> LoadedModel | None:
        """The model of this name, if there is one."""
        return self._by_name.get(name)

    def having(self, model: LoadedModel) -> "LoadedModels":
        """These models with `model` in the place of the one of its name, or beside them."""
        return LoadedModels([*(one for one in self if one.name != model.name), model])

    def choose(self, name: str | None, source: str | None, target: str | None) -> LoadedModel:
        """The one model that fits what a request names; what it leaves out may be anything.

        Raises:
            InvalidInputError: none fits, or several do; the message lists those there are.
        """
        if name is not None and name not in self._by_name:
            raise _choice_error("/model", "unknown_model", f"The models are: {self._names()}.")
        fitting = [
            model
            for model in self
            if name in (None, model.name)
            and source in (None, model.source_language)
            and target in (None, model.target_language)
        ]
        if len(fitting) == 1:
            return fitting[0]
        what = "Several models fit" if fitting else "No model fits these languages"
        pointer = "/source_lang" if target is None and source is not None else "/target_lang"
        raise _choice_error(
            pointer, "unknown_language_pair", f"{what}. There are: {self._pairs()}."
        )

    def opposite(self, model: LoadedModel) -> LoadedModel | None:
        """The first by name that translates the other way and has an alignment head."""
        languages = model.target_language, model.source_language
        return next(
            (
                one
                for one in self
                if (one.source_language, one.target_language) == languages
                and "head" in one.alignment_kinds
            ),
            None,
        )

    def source_languages(self, name: str | None, target: str | None) -> list[str]:
        """Source languages, sorted, of the models that fit what a request names."""
        return sorted(
            {
                model.source_language
                for model in self
                if name in (None, model.name) and target in (None, model.target_language)
            }
        )

    def languages(self) -> dict[str, list[str]]:
        """For each source language, sorted, the languages it can be translated into."""
        found: dict[str, set[str]] = {}
        for model in self:
            found.setdefault(model.source_language, set()).add(model.target_language)
        return {source: sorted(found[source]) for source in sorted(found)}

    def _names(self) -> str:
        return ", ".join(self._by_name)

    def _pairs(self) -> str:
        return "; ".join(
            f"{model.name} ({model.source_language} → {model.target_language})" for model in self
        )


def load_models(folder: Path) -> LoadedModels:
    """Load every checkpoint under `folder`: itself, its `checkpoint/`, or those of its subfolders.

    Raises:
        StartupError: there is none, one is broken, or two have the same name.
    """
    loaded: dict[str, LoadedModel] = {}
    for found in find_checkpoints(folder):
        model = load_model(found)
        if model.name in loaded:
            raise StartupError(_same_name(folder, model.name))
        loaded[model.name] = model
    return LoadedModels(loaded.values())


def load_model(folder: Path) -> LoadedModel:
    """Load the one checkpoint in `folder`; raises StartupError with what is wrong with it."""
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError as error:
        raise StartupError(f"a checkpoint cannot be used: {error}") from error
    return LoadedModel(_name(folder, checkpoint.manifest.name), checkpoint)


def find_checkpoints(folder: Path) -> Sequence[Path]:
    """The checkpoint folders under `folder`, in the order of their names."""
    if not folder.is_dir():
        raise StartupError(
            f"there is no folder {folder}; set SOFTALIGN_CHECKPOINTS to one with checkpoints"
        )
    found = list(_checkpoint_of(folder))
    if not found:
        # Hidden folders are checkpoints that are being written.
        inside = (path for path in sorted(folder.glob("[!.]*")) if path.name != RUN_CORPUS)
        found = [path for inner in inside for path in _checkpoint_of(inner)]
    if not found:
        raise StartupError(
            f"there is no checkpoint under {folder} (a folder with a {MANIFEST}); train one, "
            "or set SOFTALIGN_CHECKPOINTS to a folder that has one"
        )
    return found


def _checkpoint_of(folder: Path) -> Iterator[Path]:
    """The checkpoint that is this folder, or that a training run left in it."""
    for candidate in (folder, folder / RUN_CHECKPOINT):
        if (candidate / MANIFEST).is_file():
            yield candidate
            return


def named_checkpoints(folder: Path) -> dict[str, Path]:
    """Where the checkpoints under `folder` are, by the names that their models would have.

    One whose manifest cannot be read goes by the name of its folder; loading it says what is wrong.
    Raises StartupError where there is none, or two have the same name.
    """
    named: dict[str, Path] = {}
    for found in find_checkpoints(folder):
        try:
            manifest = Manifest.from_json((found / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError, ManifestError):
            name = _name(found, found.name)
        else:
            name = _name(found, manifest.name)
        if name in named:
            raise StartupError(_same_name(folder, name))
        named[name] = found
    return named


def _same_name(folder: Path, name: str) -> str:
    return f"two checkpoints under {folder} have the name {name}"


def digest_in(folder: Path) -> str | None:
    """Digest that the checkpoint in `folder` would have, unverified; None if it cannot be read."""
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return None


def _name(folder: Path, name: str) -> str:
    """Its own name; that of the run where a training run called it just `checkpoint`."""
    return folder.resolve().parent.name if name == RUN_CHECKPOINT else name


def _choice_error(pointer: str, code: str, message: str) -> InvalidInputError:
    return InvalidInputError.of([FieldError(pointer, code, message)])
