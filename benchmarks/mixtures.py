"""Sentences of chosen lengths for a service under load, and requests that ask for them."""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import cycle

from benchmarks.served import ROOT

MOST_CLAUSES = 6
"""Of the longest sentences where lengths are mixed: most short and a few several times as long."""

LONG_CLAUSES = (6, 14)
"""Of a long text among everyday sentences: 60 to 150 pieces."""
LONG_SHARE = 0.1


def mixed(count: int, most_clauses: int = MOST_CLAUSES, seed: int = 1) -> list[str]:
    """Sentences of one to `most_clauses` clauses, three quarters of them of one."""
    draw = random.Random(seed)
    lengths = [max(1, draw.randint(1, 4 * most_clauses) - 3 * most_clauses) for _ in range(count)]
    return _joined(lengths, draw)


def everyday(count: int, seed: int = 1) -> list[str]:
    """Sentences of one clause."""
    return mixed(count, most_clauses=1, seed=seed)


def with_long_texts(count: int, seed: int = 1) -> list[str]:
    """Nine sentences of one clause to one of six to fourteen."""
    draw = random.Random(seed)
    lengths = [
        draw.randint(*LONG_CLAUSES) if draw.random() < LONG_SHARE else 1 for _ in range(count)
    ]
    return _joined(lengths, draw)


MIXTURES = {"mixed": mixed, "everyday": everyday, "long": with_long_texts}


def _joined(lengths: Sequence[int], draw: random.Random) -> list[str]:
    lines = (ROOT / "tests/data/pairs.en-fr.tsv").read_text("utf-8").splitlines()
    clauses = [line.split("\t")[0].rstrip(".!?") for line in lines]
    return [" and ".join(draw.choices(clauses, k=length)) + "." for length in lengths]


def bodies(sentences: Sequence[str], beam: int) -> Iterator[bytes]:
    """The same requests over and over; nothing is stored, alignments are links."""
    options = {"decoding": {"beam_size": beam}, "alignment": {"form": "links"}, "store": False}
    return cycle([json.dumps({"text": one, **options}).encode() for one in sentences])
