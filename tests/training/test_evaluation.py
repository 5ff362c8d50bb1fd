"""An evaluation's figures are those of a slow, plain computation."""

import io
import shutil
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from rich.progress import Progress
from sacrebleu import corpus_bleu

from model.alignment_head import AlignmentHead
from model.batch import pad_sentences
from model.checkpoint import add_alignment_head, load_checkpoint
from model.hypothesis import SearchOptions
from model.search import beam_search
from tests.training.conftest import write_checkpoint
from training.corpus import Pair
from training.evaluation import evaluate
from training.evaluation_report import print_evaluation
from training.gold import FILES, GoldError


def run(tiny_checkpoint, pairs, gold=(), **options):
    with Progress(console=Console(quiet=True)) as progress:
        return evaluate(
            load_checkpoint(tiny_checkpoint),
            pairs,
            gold,
            search=SearchOptions(beam_size=2),
            progress=progress,
            **options,
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


def with_head(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "headed")
    torch.manual_seed(2)
    head = AlignmentHead(load_checkpoint(folder).manifest.config, units=6)
    add_alignment_head(folder, head, threshold=0.5, metrics={})
    return folder


def gold_folder(tmp_path):
    gold = tmp_path / "gold"
    gold.mkdir()
    for name, text in (("src.txt", "a cat\n"), ("tgt.txt", "un chat\n"), ("gold.txt", "0-0 1-1\n")):
        (gold / name).write_text(text)
    return gold


def test_both_kinds_of_a_model_with_a_head_are_measured(tiny_checkpoint, some_pairs, tmp_path):
    folder, gold = with_head(tiny_checkpoint, tmp_path), gold_folder(tmp_path)
    plain, _ = run(tiny_checkpoint, some_pairs[:2], [gold])
    headed, _ = run(folder, some_pairs[:2], [gold])
    assert "head" not in plain.as_dict()
    figures = headed.as_dict()
    assert plain.as_dict()["kind"] == "attention"
    assert plain.as_dict()["attention"]["aer"] == plain.as_dict()["aer"]
    assert figures["attention"] == plain.as_dict()["attention"]
    assert figures["kind"] == "head"
    assert {name: figures[name] for name in figures["head"]} == figures["head"]
    assert set(figures["head"]) == {
        "rule",
        "threshold",
        "shift",
        "aer",
        "precision",
        "recall",
        "gold",
    }
    assert (
        figures["head"]["gold"][str(gold)]["rows"]
        != figures["attention"]["gold"][str(gold)]["rows"]
    )
    console = Console(file=io.StringIO(), width=120, record=True)
    print_evaluation(headed, console)
    shown = console.export_text()
    assert "attention: " in shown
    assert "head: " in shown


def test_gold_links_are_refused_by_a_model_without_attention(joint_tokenizer, some_pairs, tmp_path):
    plain = write_checkpoint(tmp_path / "plain", joint_tokenizer, attention="none")
    gold = tmp_path / "gold"
    gold.mkdir()
    for name, line in zip(FILES, ("Hello .", "Bonjour .", "0-0 1-1"), strict=True):
        (gold / name).write_text(line + "\n")
    with pytest.raises(GoldError, match="no attention"):
        run(plain, some_pairs[:1], [gold])


def turned(checkpoint):
    """The same network, said to translate the other way."""
    manifest = checkpoint.manifest
    return replace(
        checkpoint,
        manifest=replace(
            manifest,
            source_language=manifest.target_language,
            target_language=manifest.source_language,
        ),
    )


def test_the_head_of_the_opposite_direction_has_a_say(tiny_checkpoint, some_pairs, tmp_path):
    folder, gold = with_head(tiny_checkpoint, tmp_path), gold_folder(tmp_path)
    opposite = turned(load_checkpoint(folder))
    both, _ = run(folder, some_pairs[:2], [gold], opposite=opposite)
    rules = {row.rule for row in both.pooled_head_gold}
    assert "both_directions" in rules
    assert "both_directions" not in {row.rule for row in both.pooled_gold}
    console = Console(width=200, record=True, file=io.StringIO())
    print_evaluation(both, console)
    assert "the head of the opposite direction" in console.export_text()
    with pytest.raises(GoldError, match="from en to fr; wanted is one from fr to en"):
        run(folder, some_pairs[:2], [gold], opposite=load_checkpoint(folder))
    with pytest.raises(GoldError, match="no alignment head"):
        run(folder, some_pairs[:2], [gold], opposite=turned(load_checkpoint(tiny_checkpoint)))
