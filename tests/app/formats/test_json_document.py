import pytest

from app.formats.aligned import FormatOptions
from app.formats.json_document import json_document
from app.reply_schemas import AlignmentReply
from app.schemas import AlignmentRequest
from tests.app.formats import aligned_texts as texts


def reply(aligned, **asked) -> AlignmentReply:
    options = FormatOptions(alignment=AlignmentRequest(**asked))
    return AlignmentReply.model_validate_json(json_document(aligned, options))


def test_json_describes_itself():
    described = reply(texts.SMALL).model_dump()
    del described["segments"]
    assert described == {
        "version": 1,
        "kind": "attention",
        "orientation": "target_rows",
        "pooling": "sum_source_mean_target",
        "normalised": "row_with_eos",
        "offset_encoding": "utf-32",
        "link_threshold": None,
        "link_rule": "weight",
    }
    assert reply(texts.SMALL, threshold=0.25).link_threshold == 0.25


def test_dense_rows_and_their_end_add_up_to_one():
    for matrix in reply(texts.two_segments()).segments:
        rows = zip(matrix.weights, matrix.eos.source_mass, strict=True)
        assert [sum(row) + end for row, end in rows] == pytest.approx([1.0] * len(matrix.weights))


def test_sparse_lists_what_is_at_least_the_threshold_and_the_rest_as_a_sum():
    [matrix] = reply(texts.SMALL, form="sparse", threshold=0.5).segments
    assert matrix.shape == (4, 4)
    assert [matrix.rows, matrix.cols, matrix.values] == [[0, 1, 2, 3]] * 2 + [
        [0.875, 0.75, 0.625, 0.5]
    ]
    assert matrix.dropped_mass == [0.0625, 0.25, 0.25, 0.0]


def test_links_are_source_target_weight():
    [matrix] = reply(texts.SMALL, form="links", threshold=0.25).segments
    assert matrix.links[:3] == [(0, 0, 0.875), (1, 1, 0.75), (1, 2, 0.25)]


@pytest.mark.parametrize(("encoding", "end"), [("utf-32", 1), ("utf-16", 2), ("utf-8", 4)])
def test_offsets_are_in_the_asked_unit(encoding, end):
    [matrix] = reply(texts.aligned("🍕 a", "🍕 b"), offset_encoding=encoding).segments
    assert (matrix.source_tokens[0].end, matrix.target_tokens[0].end) == (end, end)
