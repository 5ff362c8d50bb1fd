"""A checkpoint that was written once still loads and still says the same."""

import json
from pathlib import Path

import pytest
import torch

from model.batch import pad_sentences
from model.checkpoint import load_checkpoint
from model.hypothesis import SearchOptions
from model.search import beam_search

DATA = Path(__file__).parents[1] / "data"
EXPECTED = json.loads((DATA / "checkpoint-format-1.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def frozen():
    return load_checkpoint(DATA / "checkpoint-format-1")


@pytest.mark.parametrize("expected", EXPECTED, ids=[item["source"] for item in EXPECTED])
def test_format_1_gives_the_same_translation_and_weights(frozen, expected):
    source = [*frozen.source_tokenizer.encode(expected["source"]), 3]
    batch = pad_sentences([source], pad_id=0)
    best = beam_search(frozen.model, batch, SearchOptions(beam_size=3))[0][0]
    assert list(best.tokens) == expected["tokens"]
    assert frozen.target_tokenizer.decode(best.tokens) == expected["translation"]
    assert best.log_prob == pytest.approx(expected["log_prob"], abs=1e-3)
    torch.testing.assert_close(best.weights, torch.tensor(expected["weights"]), atol=1e-3, rtol=0.0)


def test_format_1_keeps_its_manifest(frozen):
    assert frozen.manifest.format == 1
    assert (frozen.manifest.source_language, frozen.manifest.target_language) == ("en", "fr")
    assert frozen.manifest.metrics == {"loss": 0.0214}
    assert frozen.manifest.config.decoder_units == 14
