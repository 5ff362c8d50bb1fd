"""Token ids on disk: sentences end to end in a flat file, read through a memory map.

Written in a stream and never held whole, so the size of a corpus is bounded by the disk.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

OFFSET = np.dtype("<i8")


def id_type(vocabulary_size: int) -> np.dtype[np.integer[Any]]:
    """The smallest type that holds every id: two bytes up to 65,536 pieces, else four."""
    return np.dtype("<u2") if vocabulary_size <= 1 << 16 else np.dtype("<i4")


@dataclass(frozen=True, slots=True)
class TokenArray:
    """One side of a corpus: the ids of sentence i are `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.integer[Any]]
    offsets: npt.NDArray[np.integer[Any]]

    @classmethod
    def open(cls, stem: Path, vocabulary_size: int) -> "TokenArray":
        """Map `stem.ids` and `stem.offsets`; OSError if one is missing, ValueError if cut off."""
        side = cls(
            _mapped(stem.with_name(stem.name + ".ids"), id_type(vocabulary_size)),
            _mapped(stem.with_name(stem.name + ".offsets"), OFFSET),
        )
        if len(side.offsets) == 0 or side.offsets[-1] != len(side.ids):
            raise ValueError(f"{stem.name}.ids and {stem.name}.offsets do not belong together")
        return side

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.integer[Any]]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.integer[Any]]:
        """Ids of each sentence, EOS included."""
        return np.diff(self.offsets)


@dataclass(frozen=True, slots=True)
class ParallelDataset:
    """Both sides of a corpus; every sentence of either ends in EOS."""

    source: TokenArray
    target: TokenArray

    @classmethod
    def open(
        cls, stem: Path, source_vocabulary_size: int, target_vocabulary_size: int
    ) -> "ParallelDataset":
        """Map what a `DatasetWriter` wrote under the same stem."""
        return cls(
            TokenArray.open(stem.with_name(stem.name + ".source"), source_vocabulary_size),
            TokenArray.open(stem.with_name(stem.name + ".target"), target_vocabulary_size),
        )

    def __len__(self) -> int:
        return len(self.source)


class DatasetWriter:
    """Appends sentence pairs to the files of one `ParallelDataset`; use it in a `with` block."""

    def __init__(
        self, stem: Path, source_vocabulary_size: int, target_vocabulary_size: int, eos_id: int
    ) -> None:
        self._eos_id = eos_id
        self._files = ExitStack()
        self._source = _SideWriter(stem, "source", id_type(source_vocabulary_size), self._files)
        self._target = _SideWriter(stem, "target", id_type(target_vocabulary_size), self._files)

    def append(self, source: Sequence[int], target: Sequence[int]) -> None:
        """Add one pair of ids without EOS; EOS is put behind both."""
        self._source.append([*source, self._eos_id])
        self._target.append([*target, self._eos_id])

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()


class _SideWriter:
    def __init__(
        self, stem: Path, side: str, dtype: np.dtype[np.integer[Any]], files: ExitStack
    ) -> None:
        self._ids = _created(stem.with_name(f"{stem.name}.{side}.ids"), files)
        self._offsets = _created(stem.with_name(f"{stem.name}.{side}.offsets"), files)
        self._dtype = dtype
        self._position = 0
        self._offsets.write(np.array([0], OFFSET).tobytes())

    def append(self, ids: list[int]) -> None:
        self._position += len(ids)
        self._ids.write(np.array(ids, self._dtype).tobytes())
        self._offsets.write(np.array([self._position], OFFSET).tobytes())


def _created(path: Path, files: ExitStack) -> BinaryIO:
    return files.enter_context(path.open("wb"))


def _mapped(path: Path, dtype: np.dtype[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")
