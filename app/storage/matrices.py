"""Attention weights as they are stored: IEEE half precision, compressed.

A weight between 0 and 1 keeps 11 significant bits (a relative error of at most 2^-11). The high and
the low bytes of all weights stand apart, since the high ones repeat and so compress well.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float16]
"""Weights of one hypothesis: target positions in rows, source positions in columns."""

MAX_CELLS = 2**24
"""Most weights that are unpacked at once: what a database holds is not trusted to be small."""

_COUNT = struct.Struct("<I")
_SHAPE = struct.Struct("<II")


class CorruptMatricesError(Exception):
    """The stored bytes are not what `pack_matrices` wrote."""


def pack_matrices(matrices: Sequence[Matrix]) -> bytes:
    """Any number of matrices (T, S) as bytes; `unpack_matrices` gives them back bit by bit."""
    shapes = b"".join(_SHAPE.pack(*matrix.shape) for matrix in matrices)
    weights = b"".join(matrix.astype("<f2", copy=False).tobytes() for matrix in matrices)
    packed = _COUNT.pack(len(matrices)) + shapes + weights[1::2] + weights[0::2]
    return zlib.compress(packed, level=6)


def unpack_matrices(packed: bytes) -> tuple[Matrix, ...]:
    """The matrices that were packed.

    Raises:
        CorruptMatricesError: a checksum or a size does not fit.
    """
    try:
        content = _decompress(packed)
        (count,) = _COUNT.unpack_from(content)
        shapes = [_SHAPE.unpack_from(content, 4 + 8 * index) for index in range(count)]
    except (zlib.error, struct.error) as error:
        raise CorruptMatricesError(f"stored matrices cannot be read: {error}") from error
    cells = [rows * columns for rows, columns in shapes]
    halves = content[4 + 8 * count :]
    if len(halves) != 2 * sum(cells):
        raise CorruptMatricesError("stored matrices and their shapes do not fit each other")
    weights = np.empty((sum(cells), 2), dtype=np.uint8)
    weights[:, 1] = np.frombuffer(halves[: sum(cells)], dtype=np.uint8)
    weights[:, 0] = np.frombuffer(halves[sum(cells) :], dtype=np.uint8)
    flat = weights.reshape(-1).view("<f2").astype(np.float16, copy=False)
    parts = np.split(flat, np.cumsum(cells)[:-1]) if cells else []
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


def _decompress(packed: bytes) -> bytes:
    reader = zlib.decompressobj()
    content = reader.decompress(packed, 2 * MAX_CELLS)
    if not reader.eof:
        raise zlib.error("cut off, or larger than any record")
    return content
