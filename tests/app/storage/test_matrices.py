"""Weights come back bit by bit, or not at all."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.matrices import CorruptMatricesError, pack_matrices, unpack_matrices


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 2**32 - 1)), max_size=5
    )
)
def test_any_bits_of_any_shapes_come_back(shapes):
    matrices = [
        np.random.default_rng(seed).integers(0, 2**16, (rows, columns), np.uint16).view(np.float16)
        for rows, columns, seed in shapes
    ]
    unpacked = unpack_matrices(pack_matrices(matrices))
    assert [matrix.shape for matrix in unpacked] == [matrix.shape for matrix in matrices]
    assert [m.tobytes() for m in unpacked] == [m.tobytes() for m in matrices]
    assert all(matrix.dtype == np.float16 for matrix in unpacked)


def test_attention_takes_less_room_than_its_half_precision():
    rows = np.random.default_rng(5).dirichlet(np.full(60, 0.05), size=60)
    matrix = rows.astype(np.float16)
    assert len(pack_matrices([matrix])) < matrix.nbytes


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_cut_off_bytes_are_refused(cut):
    packed = pack_matrices([np.ones((3, 4), dtype=np.float16)])
    with pytest.raises(CorruptMatricesError):
        unpack_matrices(packed[:cut])


def test_a_flipped_bit_is_noticed():
    packed = bytearray(pack_matrices([np.linspace(0, 1, 400).reshape(20, 20).astype(np.float16)]))
    for position in range(2, len(packed)):
        damaged = bytearray(packed)
        damaged[position] ^= 16
        with pytest.raises(CorruptMatricesError):
            unpack_matrices(bytes(damaged))


def test_shapes_that_do_not_fit_are_refused():
    lie = (1).to_bytes(4, "little") + (9).to_bytes(4, "little") * 2 + b"\0\0"
    with pytest.raises(CorruptMatricesError, match="do not fit"):
        unpack_matrices(zlib.compress(lie))
    none_of_them = (2**31).to_bytes(4, "little")
    with pytest.raises(CorruptMatricesError):
        unpack_matrices(zlib.compress(none_of_them))


def test_a_bomb_is_not_inflated():
    with pytest.raises(CorruptMatricesError, match="larger than any record"):
        unpack_matrices(zlib.compress(bytes(2**26)))
