import io

import numpy as np
import pytest

from app.errors import InvalidInputError
from app.formats.aligned import FormatOptions
from app.formats.arrays import npy, npz
from app.schemas import AlignmentRequest
from tests.app.formats import aligned_texts as texts


def load(written: bytes):
    return np.load(io.BytesIO(written), allow_pickle=False)


def test_npy_is_the_matrix_with_target_tokens_in_rows():
    matrix = load(npy(texts.TINY, FormatOptions()))
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix, texts.TINY.segments[0].alignment.weights.numpy())
    assert load(npy(texts.EMPTY, FormatOptions())).shape == (0, 0)


def test_npy_of_several_segments_says_how_to_ask():
    with pytest.raises(InvalidInputError, match="npz"):
        npy(texts.two_segments(), FormatOptions())


def test_npz_holds_matrices_tokens_and_spans_of_every_segment():
    aligned = texts.two_segments()
    arrays = load(npz(aligned, FormatOptions()))
    source, target = str(arrays["source"]), str(arrays["target"])
    assert (source, target) == (aligned.source, aligned.target)
    for index, one in enumerate(aligned.segments):
        rows = arrays[f"weights_{index}"].sum(axis=1) + arrays[f"eos_{index}"]
        assert np.allclose(rows, 1.0, atol=1e-4)
        assert arrays[f"eos_row_{index}"].shape == (len(one.alignment.source) + 1,)
        assert int(arrays[f"segment_{index}"]) == one.segment
        for side, whole in (("source", source), ("target", target)):
            spans = arrays[f"{side}_spans_{index}"]
            cut = [whole[start:end] for start, end in spans]
            assert cut == arrays[f"{side}_tokens_{index}"].tolist()


def test_npz_counts_in_the_asked_unit():
    aligned = texts.aligned("🍕 a", "🍕 b")
    options = FormatOptions(alignment=AlignmentRequest(offset_encoding="utf-16"))
    assert load(npz(aligned, options))["source_spans_0"].tolist() == [[0, 2], [3, 4]]


def test_npz_is_the_same_every_time():
    assert npz(texts.SMALL, FormatOptions()) == npz(texts.SMALL, FormatOptions())
