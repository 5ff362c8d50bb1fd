"""The tables show every figure, and a shifted alignment cannot be overlooked."""

import io

import pytest
import torch
from rich.console import Console

from model.alignment import GoldLinks
from model.hypothesis import SearchOptions
from training.evaluation import CorpusScores, Evaluation
from training.evaluation_report import print_evaluation
from training.gold import GoldSentence, WordWeights, score_alignments
from training.metrics import score_translations


def printed(shift, origin="book"):
    """The report on a model whose weights fit once they are moved by `shift`."""
    words = tuple((index,) for index in range(4))
    diagonal = torch.eye(4)
    weights = {s: diagonal if s == shift else diagonal.flip(0) for s in (-1, 0, 1)}
    gold = GoldSentence("a b c d", "w x y z", GoldLinks(*[frozenset({(0, 0), (1, 1)})] * 2))
    rows = score_alignments([gold], [WordWeights(weights, words, words)])
    scores = score_translations(["one two three four"], ["one two three four"], "en")
    evaluation = Evaluation(
        overall=CorpusScores(1, 2.0, scores),
        by_origin={origin: CorpusScores(1, 2.0, scores)},
        seconds=0.5,
        search=SearchOptions(beam_size=3),
        digest="",
        gold={"stories": rows},
        pooled_gold=rows,
    )
    console = Console(file=io.StringIO(), width=120, record=True)
    print_evaluation(evaluation, console)
    return console.export_text(), evaluation.as_dict()


def test_all_figures_are_in_the_tables():
    text, _ = printed(shift=0)
    for figure in ("book", "100.00", "7.39", "beam 3", "tok:13a", "stories", "0.45", "argmax"):
        assert figure in text


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_shift_that_wins_is_said_loudly(shift):
    text, values = printed(shift)
    assert "ALIGNMENTS ARE SHIFTED" in text
    assert f"the row of the token {'after' if shift > 0 else 'before'} it" in text
    assert values["shift"] == values["gold"]["stories"]["shift"] == shift


def test_an_origin_in_brackets_is_shown_as_it_stands():
    text, _ = printed(shift=0, origin="[/news]")
    assert "[/news]" in text


def test_no_shift_is_not_said():
    text, values = printed(shift=0)
    assert "SHIFTED" not in text
    assert values["shift"] == 0
