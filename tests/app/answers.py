"""What every answer of `POST /v1/translate` must hold, whatever the model says."""

import pytest


def check_translation(text, translation):
    """Gaps, spans and rows of a translation with a dense alignment in code points."""
    assert target_gaps(translation) == source_gaps(text, translation)
    for matrix in translation["alignment"]["segments"]:
        check_matrix(matrix, text, translation["text"])


def source_gaps(text, translation):
    ends = [0, *(segment["source"]["end"] for segment in translation["segments"])]
    starts = [*(segment["source"]["start"] for segment in translation["segments"]), len(text)]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


def target_gaps(translation):
    text = translation["text"]
    ends = [0, *(segment["target"]["end"] for segment in translation["segments"])]
    starts = [*(segment["target"]["start"] for segment in translation["segments"]), len(text)]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


def check_matrix(matrix, source, target):
    for token in matrix["source_tokens"]:
        assert source[token["start"] : token["end"]] == token["text"]
    for token in matrix["target_tokens"]:
        assert target[token["start"] : token["end"]] == token["text"]
        assert token["log_prob"] <= 0.0
    rows = zip(matrix["weights"], matrix["eos"]["source_mass"], strict=True)
    for row, eos in rows:
        assert len(row) == len(matrix["source_tokens"])
        assert min(row, default=0.0) >= 0.0
        assert sum(row) + eos == pytest.approx(1.0, abs=1e-4)
    assert len(matrix["weights"]) == len(matrix["target_tokens"])
    eos_row = matrix["eos"]["target_row"]
    if eos_row is not None:
        assert len(eos_row) == len(matrix["source_tokens"]) + 1
        assert sum(eos_row) == pytest.approx(1.0, abs=1e-4)
