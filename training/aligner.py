"""Word links of a corpus, from eflomal or from a file that the user brings."""

import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from model.alignment import Pair
from model.pharaoh import from_pharaoh
from model.words import Token, words
from training.symmetrisation import grow_diag_final_and

_PART = re.compile(r"\w+|[^\w\s]")


class AlignerError(ValueError):
    """Links that cannot be made or used; says what to do, and names file and line where it can."""


Segmenter = Callable[[str], list[Token]]
"""Cuts a text into the tokens that links index."""


def aligner_words(text: str) -> list[Token]:
    """Words as an aligner counts them best: those of `model.words`, parted at every mark in them.

    `don't`, `aujourd'hui` and `well-known` are rarer than what they are made of. Measured with
    eflomal on two gold sets: alignment error 9.8 and 23.5 percent, with the pieces of the
    translator's vocabulary as words 14.1 and 26.8.
    """
    return [
        Token(match[0], word.start + match.start(), word.start + match.end())
        for word in words(text)
        for match in _PART.finditer(word.text)
    ]


def white_space_words(text: str) -> list[Token]:
    """What stands between white space: the words of aligners that are given a file."""
    return [Token(match[0], *match.span()) for match in re.finditer(r"\S+", text)]


def eflomal_links(source: Sequence[str], target: Sequence[str]) -> Iterator[set[Pair]]:
    """Links of every pair over `aligner_words`: eflomal in both directions, grow-diag-final-and.

    eflomal (Östling & Tiedemann 2016) samples a Bayesian model of words, their order and their
    fertility; it lower-cases by itself. Its links differ a little from run to run. Raises
    AlignerError where eflomal is not installed.
    """
    aligner = _eflomal().Aligner()
    with TemporaryDirectory() as folder:
        forward, backward = (Path(folder) / name for name in ("forward", "backward"))
        aligner.align(
            (_joined(text) for text in source),
            (_joined(text) for text in target),
            links_filename_fwd=str(forward),
            links_filename_rev=str(backward),
        )
        with forward.open() as first, backward.open() as second:
            for one, other in zip(first, second, strict=True):
                yield grow_diag_final_and(from_pharaoh(one).sure, from_pharaoh(other).sure)


def eflomal_name() -> str:
    """eflomal with its version; AlignerError where it is not installed."""
    _eflomal()
    return f"eflomal {version('eflomal')}"


def pharaoh_links(path: Path, pairs: int) -> Iterator[set[Pair]]:
    """Links of a file of `source-target` indices over `white_space_words`, a line for each pair.

    Possible links (`ipj`) are links too. Raises AlignerError naming file and line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = sum(1 for _ in file)
            if lines != pairs:
                raise AlignerError(
                    f"{path}: has {lines:,} lines and the prepared corpus {pairs:,} pairs; align "
                    "prepared/train.source.txt with prepared/train.target.txt"
                )
            file.seek(0)
            for number, line in enumerate(file, start=1):
                yield _links_of_line(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise AlignerError(f"{path}: {error}") from error


def _links_of_line(path: Path, number: int, line: str) -> set[Pair]:
    try:
        return set(from_pharaoh(line).possible)
    except ValueError as error:
        raise AlignerError(f"{path}:{number}: {error}") from error


def _joined(text: str) -> str:
    return " ".join(word.text for word in aligner_words(text))


def _eflomal() -> Any:  # noqa: ANN401 - it has no types
    try:
        return import_module("eflomal")
    except ImportError as error:
        raise AlignerError(
            "eflomal is not installed: pip install 'softalign[align]' (it needs a C compiler), or "
            'set links = "FILE" in [align] to links that another aligner made'
        ) from error
