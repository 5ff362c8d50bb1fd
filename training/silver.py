"""Silver links on disk: which pieces of a prepared corpus an aligner takes for each other."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from model.alignment import Pair
from model.tokenizer import Encoded, Tokenizer
from model.words import group_pieces
from training.aligner import (
    AlignerError,
    Segmenter,
    aligner_words,
    eflomal_links,
    eflomal_name,
    pharaoh_links,
    white_space_words,
)
from training.config import TrainingConfig
from training.dataset import OFFSET, ParallelDataset
from training.joining import Examples
from training.prepare import Prepared

INDEX = np.dtype("<u2")


@dataclass(frozen=True, slots=True)
class SilverLinks:
    """Links of every training pair: those of pair i are `links[offsets[i]:offsets[i + 1]]`."""

    links: npt.NDArray[np.integer[Any]]
    """(N, 2): source and target piece."""
    offsets: npt.NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.integer[Any]]:
        return self.links[self.offsets[index] : self.offsets[index + 1]]

    def joined(self, dataset: ParallelDataset, examples: Examples) -> "SilverLinks":
        """Links of each example: those of its pairs, moved behind the pieces before them."""
        links = []
        for index in range(len(examples)):
            before = np.zeros(2, np.int64)
            for pair in examples[index].tolist():
                links.append(self[pair] + before)
                before += len(dataset.source[pair]) - 1, len(dataset.target[pair]) - 1
        counts = np.cumsum([0, *map(len, links)])
        return SilverLinks(np.concatenate(links), counts[examples.offsets])

    def targets(
        self, pairs: Sequence[int], source_lengths: Sequence[int], target_lengths: Sequence[int]
    ) -> Float[Tensor, "B T S"]:
        """What a head should weigh: each row spread evenly over the pieces linked to it.

        A piece without a link, and EOS, choose the source's EOS. Lengths count EOS; rows of padding
        are zero.
        """
        wanted = torch.zeros(len(pairs), max(target_lengths), max(source_lengths))
        for row, (pair, columns, rows) in enumerate(
            zip(pairs, source_lengths, target_lengths, strict=True)
        ):
            linked = torch.from_numpy(self[pair].astype(np.int64))
            wanted[row, linked[:, 1], linked[:, 0]] = 1.0
            unlinked = wanted[row, :rows].sum(dim=1) == 0
            wanted[row, :rows, columns - 1][unlinked] = 1.0
        return wanted / wanted.sum(dim=2, keepdim=True).clamp(min=1.0)


def links_folder(config: TrainingConfig) -> Path:
    """Where the silver links of a prepared corpus are."""
    return config.prepared_folder / "links"


def align(config: TrainingConfig, prepared: Prepared, console: Console) -> SilverLinks:
    """Make the silver links of a prepared corpus, unless the same ones are there already.

    A failure leaves those before untouched. Raises AlignerError.
    """
    folder = links_folder(config)
    manifest = {"corpus": prepared.fingerprint, "aligner": _aligner(config)}
    if _read(folder / "manifest.json") == manifest:
        console.print(f"Silver links are up to date: {folder}", soft_wrap=True, markup=False)
        return _opened(folder)
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        count = _write(building, _piece_links(config, prepared, console))
        if count == 0:
            raise AlignerError("the aligner linked no word of the corpus")
        (building / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    told = f"{count:,} links between pieces of {len(prepared.train):,} pairs in {folder}"
    console.print(told, soft_wrap=True, markup=False)
    return _opened(folder)


def _opened(folder: Path) -> SilverLinks:
    links = np.memmap(folder / "links", INDEX, mode="r").reshape(-1, 2)
    return SilverLinks(links, np.memmap(folder / "offsets", OFFSET, mode="r"))


def piece_links(
    source_text: str,
    target_text: str,
    source: Encoded,
    target: Encoded,
    links: Iterable[Pair],
    segment: Segmenter,
) -> list[Pair]:
    """Word links as links between all pieces of the words, ordered; words have `segment`'s indices.

    ValueError where a link lies outside the words. A word without pieces, whose characters the
    tokenizer drops, loses its links.
    """
    columns = _pieces_of_words(source_text, source, segment)
    rows = _pieces_of_words(target_text, target, segment)
    pairs: set[Pair] = set()
    for one, other in links:
        if one >= len(columns) or other >= len(rows):
            raise ValueError(
                f"link {one}-{other} lies outside the {len(columns)} source and {len(rows)} "
                "target words"
            )
        pairs.update((column, row) for column in columns[one] for row in rows[other])
    return sorted(pairs)


def _pieces_of_words(text: str, encoded: Encoded, segment: Segmenter) -> list[tuple[int, ...]]:
    tokens = segment(text)
    pieces: list[tuple[int, ...]] = [()] * len(tokens)
    for group in group_pieces(text, tokens, encoded.spans):
        for word in group.words:
            pieces[word] = group.pieces
    return pieces


def _piece_links(
    config: TrainingConfig, prepared: Prepared, console: Console
) -> Iterator[list[Pair]]:
    sides = [_lines(prepared.folder / f"train.{side}.txt") for side in ("source", "target")]
    source_text, target_text = sides
    path = config.align.links
    if path is None:
        with console.status(f"Aligning {len(source_text):,} pairs with eflomal, both directions"):
            links = eflomal_links(source_text, target_text)
            first = next(links, None)
        linked: Iterator[set[Pair]] = _again(first, links)
    else:
        linked = pharaoh_links(path, len(source_text))
    segment = aligner_words if path is None else white_space_words
    tokenizers = Tokenizer(prepared.source_spm), Tokenizer(prepared.target_spm)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        numbered = enumerate(zip(source_text, target_text, linked, strict=True))
        for number, (one, other, pairs) in progress.track(
            numbered, len(source_text), description="Linking pieces"
        ):
            source, target = (
                tokenizer.encode_with_spans(text)
                for tokenizer, text in zip(tokenizers, (one, other), strict=True)
            )
            try:
                yield piece_links(one, other, source, target, pairs, segment)
            except ValueError as error:
                raise AlignerError(f"{path or 'eflomal'}:{number + 1}: {error}") from error


def _again(first: set[Pair] | None, rest: Iterator[set[Pair]]) -> Iterator[set[Pair]]:
    if first is not None:
        yield first
        yield from rest


def _write(folder: Path, links: Iterable[list[Pair]]) -> int:
    count = 0
    with (folder / "links").open("wb") as pairs, (folder / "offsets").open("wb") as offsets:
        offsets.write(np.array([0], OFFSET).tobytes())
        for of_pair in links:
            count += len(of_pair)
            pairs.write(np.array(of_pair, INDEX).tobytes())
            offsets.write(np.array([count], OFFSET).tobytes())
    return count


def _aligner(config: TrainingConfig) -> str:
    path = config.align.links
    if path is None:
        return eflomal_name()
    try:
        with path.open("rb") as file:
            return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise AlignerError(f"{path}: {error.strerror or error}") from error


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return None


def _lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return [line.removesuffix("\n") for line in file]
