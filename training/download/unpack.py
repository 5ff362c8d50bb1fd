"""Turns fetched files into `train.tsv`, `validation.tsv` and `test.tsv`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path

from training.download.public_corpora import Row

SPLITS = ("train", "validation", "test")
LARGEST_SHARE = 0.1
"""Of a corpus that is not cut by itself, at most this goes to each of validation and test."""


def write_splits(
    rows: Callable[[str], Iterator[Row]],
    splits: tuple[str, ...],
    folder: Path,
    *,
    swap: bool,
    held_out: int,
) -> dict[str, int]:
    """Write the three files, each whole or not at all, and return how many pairs are in each.

    A corpus that comes as one (`splits` is `all`) gives about `held_out` pairs to validation and as
    many to test. Which ones is decided by a hash of the first side, so that the same sentence is
    never in two files, whatever its translation, and every download cuts alike.
    """
    counts = dict.fromkeys(SPLITS, 0)
    parts = {split: folder / f"{split}.tsv.part" for split in SPLITS}
    with ExitStack() as files:
        outputs = {split: files.enter_context(path.open("wb")) for split, path in parts.items()}
        for split, (first, second, rest) in _assigned(rows, splits, held_out):
            sides = (second, first) if swap else (first, second)
            outputs[split].write(b"\t".join((*sides, rest)) + b"\n")
            counts[split] += 1
    for split, path in parts.items():
        path.replace(folder / f"{split}.tsv")
    return counts


def _assigned(
    rows: Callable[[str], Iterator[Row]], splits: tuple[str, ...], held_out: int
) -> Iterator[tuple[str, Row]]:
    if splits != ("all",):
        for split in splits:
            for row in rows(split):
                yield split, row
        return
    total = sum(1 for _ in rows("all"))
    share = min(LARGEST_SHARE, held_out / max(total, 1))
    for row in rows("all"):
        place = int.from_bytes(blake2b(row[0], digest_size=8).digest()) / 2**64
        number = 1 if place < share else 2 if place < 2 * share else 0
        yield SPLITS[number], row
