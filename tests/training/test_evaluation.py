"""An evaluation's figures are those of a slow, plain computation."""

import pytest
import torch
from rich.console import Console
from rich.progress import Progress
from sacrebleu import corpus_bleu

from model.batch import pad_sentences
from model.checkpoint import load_checkpoint
from model.hypothesis import SearchOptions
from model.search import beam_search
from training.corpus import Pair
from training.evaluation import evaluate


def run(tiny_checkpoint, pairs, gold=(), **options):
    with Progress(console=Console(quiet=True)) as progress:
        return evaluate(
            load_checkpoint(tiny_checkpoint), pairs, gold, beam_size=2, progress=progress, **options
        )


def test_translations_and_losses_equal_those_of_single_sentences(tiny_checkpoint, some_pairs):
    evaluation, translated = run(tiny_checkpoint, some_pairs)
    loaded = load_checkpoint(tiny_checkpoint)
    tokenizer = loaded.source_tokenizer
    total = tokens = 0
    for pair, item in zip(some_pairs, translated, strict=True):
        batch = pad_sentences([[*tokenizer.encode(pair.source), 3]], 0)
        best = beam_search(loaded.model, batch, SearchOptions(beam_size=2))[0][0]
        assert item.translation == tokenizer.decode(best.tokens)
        ids = [*tokenizer.encode(pair.target), 3]
        with torch.no_grad():
            logits = loaded.model(batch.ids, batch.lengths, torch.tensor([[2, *ids[:-1]]])).logits
        total += float(torch.nn.functional.cross_entropy(logits[0], torch.tensor(ids))) * len(ids)
        tokens += len(ids)
    assert evaluation.overall.loss == pytest.approx(total / tokens, rel=1e-4)
    references = [[pair.target for pair in some_pairs]]
    expected = corpus_bleu([item.translation for item in translated], references).score
    assert evaluation.overall.scores.bleu == expected


def test_figures_are_broken_down_by_origin(tiny_checkpoint, some_pairs):
    evaluation, _ = run(tiny_checkpoint, some_pairs)
    assert [scores.sentences for scores in evaluation.by_origin.values()] == [20, 20]
    assert list(evaluation.by_origin) == ["book", "film"]
    only_books, _ = run(tiny_checkpoint, [pair for pair in some_pairs if pair.origin == "book"])
    assert only_books.overall.loss == pytest.approx(evaluation.by_origin["book"].loss)


def test_without_origins_there_is_no_breakdown(tiny_checkpoint, some_pairs):
    evaluation, _ = run(
        tiny_checkpoint, [Pair(pair.source, pair.target) for pair in some_pairs[:3]]
    )
    assert evaluation.by_origin == {}
    assert "by_origin" not in evaluation.as_dict()
