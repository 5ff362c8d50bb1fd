"""Decides which sentence pairs are worth training on; what is dropped is counted, never silent."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from itertools import islice

import numpy as np

from training.cleaning_report import CleaningReport
from training.config import CleaningConfig
from training.corpus import Pair
from training.duplicates import SeenHashes

RATIO_GRACE = 10
"""Code points added to both sides before the ratio is taken: "Hi." may be "Bonjour à tous !"."""
BLOCK = 10_000
"""Pairs that are looked up together among those that came before."""
_CONTROL_CHARACTERS = {
    code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()
}


def clean(pairs: Iterable[Pair], config: CleaningConfig, report: CleaningReport) -> Iterator[Pair]:
    """Yield the pairs that pass, normalised where `config` says so, and count all in `report`.

    Duplicates are known by 64 bits of their hash, eight bytes of memory a pair.
    """
    passing = _passing(pairs, config, report)
    for pair in _without_duplicates(passing, report) if config.deduplicate else passing:
        report.kept += 1
        yield pair


def _passing(
    pairs: Iterable[Pair], config: CleaningConfig, report: CleaningReport
) -> Iterator[Pair]:
    for pair in pairs:
        if config.normalise:
            pair = normalise_pair(pair)
        if reason := _reason_to_drop(pair, config):
            report.drop(reason)
            continue
        yield pair


def _without_duplicates(pairs: Iterator[Pair], report: CleaningReport) -> Iterator[Pair]:
    seen = SeenHashes()
    while block := list(islice(pairs, BLOCK)):
        hashes = np.fromiter(map(pair_hash, block), np.uint64, len(block))
        for pair, fresh in zip(block, seen.add(hashes).tolist(), strict=True):
            if fresh:
                yield pair
            else:
                report.drop("duplicate")


def drop_empty(pairs: Iterable[Pair], report: CleaningReport) -> Iterator[Pair]:
    """Yield the pairs as they are, but for those with an empty side: what validation data gets."""
    for pair in pairs:
        if pair.source.strip() and pair.target.strip():
            report.kept += 1
            yield pair
        else:
            report.drop("empty")


def normalise_pair(pair: Pair) -> Pair:
    """`normalise` on both sides."""
    return replace(pair, source=normalise(pair.source), target=normalise(pair.target))


def normalise(text: str) -> str:
    """Delete control characters, fold every run of white space into one space, trim.

    White space is what Unicode calls so: no-break spaces and U+2028 become plain spaces too.
    """
    return " ".join(text.translate(_CONTROL_CHARACTERS).split())


def pair_hash(pair: Pair) -> int:
    """64 bits that tell pairs apart: ten million of them collide with probability 3e-6."""
    text = f"{pair.source}\n{pair.target}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def _reason_to_drop(pair: Pair, config: CleaningConfig) -> str | None:
    if not pair.source.strip() or not pair.target.strip():
        return "empty"
    shorter, longer = sorted((len(pair.source), len(pair.target)))
    if longer > config.max_characters:
        return "too_long"
    if longer + RATIO_GRACE > config.max_ratio * (shorter + RATIO_GRACE):
        return "ratio"
    if config.drop_identical and pair.source == pair.target:
        return "identical"
    return None
