"""From raw sentence pairs to token ids on disk: read, clean, train the tokenizer(s), encode.

The result is a folder that `load_prepared` opens at once. It carries the fingerprint of all it was
made from, so that the work is done once and a resumed run can refuse other data.
"""

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from model.tokenizer import Tokenizer, TokenizerError
from training.cleaning import clean, drop_empty, normalise_pair, pair_hash
from training.cleaning_report import CleaningReport
from training.config import EOS_ID, TrainingConfig
from training.corpus import CorpusError, Pair, read_pairs
from training.dataset import DatasetWriter, ParallelDataset
from training.fingerprint import data_components, differences, fingerprint
from training.interruption import in_background
from training.made_up_names import FEWEST_NAMES, NameMaker, with_made_up_names
from training.rare_names import RareNames, repeated
from training.taken_tokenizers import taken_tokenizers
from training.tokenizer_training import train_tokenizer

CHUNK = 2000
"""Pairs that are encoded by one call."""
SIDES = ("source", "target")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A corpus ready for training."""

    folder: Path
    train: ParallelDataset
    validation: ParallelDataset
    source_spm: bytes
    """Serialised tokenizer of the source side; equal to `target_spm` if the vocabulary is joint."""
    target_spm: bytes
    components: dict[str, str]
    """What the data was made from; `fingerprint.differences` tells two of them apart."""
    fingerprint: str
    reports: dict[str, Any]
    """The accounts of cleaning, `train` and `validation`, for the checkpoint's manifest."""

    def validation_pairs(self, limit: int = 0) -> list[Pair]:
        """The first `limit` (0: all) pairs as they were read, tabs as spaces, in their order."""
        report = CleaningReport()
        pairs = read_pairs((self.folder / "validation.tsv",), report)
        return list(islice(pairs, limit or None))


def prepare(
    config: TrainingConfig, console: Console, components: dict[str, str] | None = None
) -> Prepared:
    """Make `config.prepared_folder`, or open it if data and settings are the ones it came from.

    `components` are those of `data_components`, where they are known already. Raises CorpusError,
    TokenizerTrainingError, OSError or what `taken_tokenizers` does; a folder that was there before
    is then as it was.
    """
    folder = config.prepared_folder
    components = components or data_components(config)
    if (folder / "manifest.json").exists():
        prepared = load_prepared(config)
        changes = differences(prepared.components, components)
        if not changes:
            console.print(f"Prepared corpus is up to date: {folder}", soft_wrap=True, markup=False)
            return prepared
        console.print("Preparing again, because these changed:", *changes, sep="\n  ")
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    reports = _Builder(config, building, console).build()
    manifest = {
        "fingerprint": fingerprint(components),
        "components": components,
        "reports": {name: report.as_dict() for name, report in reports.items()},
    }
    (building / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return load_prepared(config)


def load_prepared(config: TrainingConfig) -> Prepared:
    """Open what `prepare` wrote for this configuration; CorpusError if it is not there."""
    folder = config.prepared_folder
    size = config.tokenizer.vocabulary_size
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        return Prepared(
            folder=folder,
            train=ParallelDataset.open(folder / "train", size, size),
            validation=ParallelDataset.open(folder / "validation", size, size),
            source_spm=_tokenizer(folder / "source.spm"),
            target_spm=_tokenizer(folder / "target.spm"),
            components=manifest["components"],
            fingerprint=manifest["fingerprint"],
            reports=manifest["reports"],
        )
    except (OSError, KeyError, ValueError, TokenizerError) as error:
        raise CorpusError(
            f"{folder}: not a prepared corpus ({error}); delete it and prepare again"
        ) from error


def _tokenizer(path: Path) -> bytes:
    """The serialised tokenizer in a file, known to be whole."""
    return Tokenizer(path.read_bytes()).serialized


class _Builder:
    """The stages of one preparation; all files go under `folder`."""

    def __init__(self, config: TrainingConfig, folder: Path, console: Console) -> None:
        self._config = config
        self._folder = folder
        self._console = console
        self._normalises = config.cleaning.normalise

    def build(self) -> dict[str, CleaningReport]:
        """Run all stages in order and return the accounts of both corpora."""
        validation = self._validation_pairs()
        read = map(normalise_pair, validation.pairs) if self._normalises else validation.pairs
        report = self._write_cleaned({pair_hash(pair) for pair in read})
        self._write_tokenizers(report.kept)
        self._encode_train(report)
        self._encode_validation(validation.pairs)
        for side in SIDES:
            (self._folder / f"cleaned.{side}.txt").unlink()
        self._console.print(report.table("Training pairs"))
        self._console.print(validation.report.table("Validation pairs"))
        if report.kept == 0:
            raise CorpusError("no training pair is left after cleaning; see the table above")
        return {"train": report, "validation": validation.report}

    def _validation_pairs(self) -> "_ValidationPairs":
        data = self._config.data
        report = CleaningReport()
        pairs = read_pairs(
            data.validation, report, reverse=data.reverse, on_bad_line=data.on_bad_line
        )
        kept = list(drop_empty(pairs, report))
        if not kept:
            raise CorpusError(f"{data.validation[0]}: no validation pair with text on both sides")
        return _ValidationPairs(kept, report)

    def _write_cleaned(self, validation_hashes: set[int]) -> CleaningReport:
        data = self._config.data
        report = CleaningReport()
        pairs = read_pairs(data.train, report, reverse=data.reverse, on_bad_line=data.on_bad_line)
        overlap = identical = 0
        with (
            (self._folder / "cleaned.source.txt").open("w", encoding="utf-8") as source,
            (self._folder / "cleaned.target.txt").open("w", encoding="utf-8") as target,
            _progress(self._console) as progress,
        ):
            cleaned = clean(pairs, self._config.cleaning, report)
            for pair in progress.track(cleaned, description="Cleaning"):
                overlap += pair_hash(pair) in validation_hashes
                identical += pair.source == pair.target
                source.write(pair.source + "\n")
                target.write(pair.target + "\n")
        if report.kept == 0:
            self._console.print(report.table("Training pairs"))
            raise CorpusError("no training pair is left after cleaning; see the table above")
        self._warn(overlap, "training pairs are validation pairs too; BLEU will flatter")
        self._warn(identical, "training pairs have equal sides; drop_identical would drop them")
        return report

    def _warn(self, count: int, fact: str) -> None:
        if count:
            self._console.print(f"[yellow]Note:[/yellow] {count:,} {fact}")

    def _write_tokenizers(self, pairs: int) -> None:
        folder = self._config.tokenizer.take_from
        if folder is None:
            models = self._trained_tokenizers(pairs)
        else:
            models = taken_tokenizers(folder, self._config)
            self._say(f"Tokenizer taken from {folder}")
        for side, model in zip(SIDES, models, strict=True):
            (self._folder / f"{side}.spm").write_bytes(model)

    def _trained_tokenizers(self, pairs: int) -> tuple[bytes, bytes]:
        config = self._config.tokenizer
        started = time.perf_counter()
        with self._console.status(f"Training tokenizer(s) on {pairs:,} pairs"):
            source, target = map(self._cleaned, SIDES)
            if config.joint:
                joint = in_background(lambda: train_tokenizer(chain(source, target), config))
                models = joint, joint
            else:
                models = (
                    in_background(partial(train_tokenizer, source, config)),
                    in_background(partial(train_tokenizer, target, config)),
                )
        self._say(f"Tokenizer trained in {time.perf_counter() - started:.1f} s")
        return models

    def _say(self, fact: str) -> None:
        self._console.print(fact, soft_wrap=True, markup=False)

    def _cleaned(self, side: str) -> Iterator[str]:
        with (self._folder / f"cleaned.{side}.txt").open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line[:-1]

    def _cleaned_pairs(self) -> Iterator[Pair]:
        return map(Pair, self._cleaned("source"), self._cleaned("target"))

    def _made_up(self) -> Iterator[Pair]:
        """Further versions of the cleaned pairs, as the configuration asks for them."""
        versions = self._config.data.made_up_names
        if not versions:
            return iter(())
        maker = NameMaker(self._cleaned_pairs())
        if not maker.has_enough:
            self._say(
                f"Note: no pair has a made-up name, since the corpus has fewer than {FEWEST_NAMES} "
                "names of its own: capitalised words that both sides of a pair share"
            )
            return iter(())
        return with_made_up_names(self._cleaned_pairs(), maker, versions)

    def _repeated(self) -> Iterator[Pair]:
        """Cleaned pairs once more for their rare names, as the configuration asks for them."""
        enough = self._config.data.rare_names
        if not enough:
            return iter(())
        return repeated(self._cleaned_pairs(), RareNames(self._cleaned_pairs(), enough))

    def _encode_train(self, report: CleaningReport) -> None:
        """Encode and drop what is too long in pieces; the texts that stay are kept beside."""
        limit = self._config.cleaning.max_pieces
        with (
            self._writer("train") as writer,
            (self._folder / "train.source.txt").open("w", encoding="utf-8") as source_text,
            (self._folder / "train.target.txt").open("w", encoding="utf-8") as target_text,
            _progress(self._console) as progress,
        ):

            def append(pair: Pair, source: list[int], target: list[int]) -> None:
                writer.append(source, target)
                source_text.write(pair.source + "\n")
                target_text.write(pair.target + "\n")

            encoded = self._encode(self._cleaned_pairs())
            kept = report.kept
            for pair, source, target in progress.track(encoded, kept, description="Encoding"):
                if reason := _reason_to_drop(source, target, limit):
                    report.drop(reason)
                    report.kept -= 1
                    continue
                append(pair, source, target)
            added = self._encode(self._made_up())
            for pair, source, target in progress.track(added, None, description="Making up names"):
                if not _reason_to_drop(source, target, limit):
                    append(pair, source, target)
                    report.added += 1
            again = self._encode(self._repeated())
            for pair, source, target in progress.track(again, None, description="Rare names"):
                if not _reason_to_drop(source, target, limit):
                    append(pair, source, target)
                    report.repeated += 1

    def _encode_validation(self, pairs: list[Pair]) -> None:
        with (
            self._writer("validation") as writer,
            (self._folder / "validation.tsv").open("w", encoding="utf-8") as text,
        ):
            for pair, source, target in self._encode(pairs):
                writer.append(source, target)
                # A tab within a line of two parallel files would begin a column here.
                sides = (side.replace("\t", " ") for side in (pair.source, pair.target))
                text.write("\t".join((*sides, pair.origin)) + "\n")

    def _encode(self, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, list[int], list[int]]]:
        source, target = (Tokenizer.load(self._folder / f"{side}.spm") for side in SIDES)
        remaining = iter(pairs)
        while chunk := list(islice(remaining, CHUNK)):
            yield from zip(
                chunk,
                source.encode_all([pair.source for pair in chunk]),
                target.encode_all([pair.target for pair in chunk]),
                strict=True,
            )

    def _writer(self, name: str) -> DatasetWriter:
        size = self._config.tokenizer.vocabulary_size
        return DatasetWriter(self._folder / name, size, size, EOS_ID)


@dataclass(frozen=True, slots=True)
class _ValidationPairs:
    pairs: list[Pair]
    report: CleaningReport


def _reason_to_drop(source: list[int], target: list[int], limit: int) -> str | None:
    if not source or not target:
        return "empty"  # nothing but characters that the tokenizer deletes, such as U+200B
    return "too_many_pieces" if max(len(source), len(target)) > limit else None


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
