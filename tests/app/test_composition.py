from itertools import product

import pytest
import torch

from app.composition import compose, compose_best
from app.segments import read_sentences
from model.hypothesis import Hypothesis

TEXT = "  The cat sleeps.\n\nIt rains.  Yes. "
SCORES = [(-1.0, -1.5, -4.0), (-2.0, -2.25, -2.5), (-0.5, -3.0, -3.5)]


@pytest.fixture
def sentences(joint_tokenizer):
    return read_sentences(TEXT, "en", joint_tokenizer, 128)


def hypothesis(tokenizer, text, score, *, finished=True):
    ids = (*tokenizer.encode(text), *([tokenizer.eos_id] if finished else []))
    weights = torch.full((len(ids), 2), 0.5)
    return Hypothesis(tuple(ids), score, (score / len(ids),) * len(ids), score, weights, finished)


def n_best(tokenizer, sentences, cut_off=frozenset()):
    """Three hypotheses for each sentence; those at a place of `cut_off` have no end."""
    return [
        [
            hypothesis(
                tokenizer, f"Le {place}-{rank}.", score, finished=(place, rank) not in cut_off
            )
            for rank, score in enumerate(SCORES[place])
        ]
        for place in range(len(sentences))
    ]


@pytest.mark.parametrize("cut_off", [frozenset(), frozenset({(0, 0), (2, 1)})])
def test_the_best_combinations_are_those_of_all(sentences, joint_tokenizer, cut_off):
    hypotheses = n_best(joint_tokenizer, sentences, cut_off)
    everything = sorted(
        product(*hypotheses),
        key=lambda chosen: (
            sum(not one.finished for one in chosen),
            -sum(one.score for one in chosen),
        ),
    )
    best = compose_best(TEXT, sentences, hypotheses, joint_tokenizer, n_best=5)
    assert [one.score for one in best] == [sum(o.score for o in of) for of in everything[:5]]
    assert best == [compose(TEXT, sentences, of, joint_tokenizer) for of in everything[:5]]


def test_what_stands_between_sentences_comes_back(sentences, joint_tokenizer):
    [best] = compose_best(
        TEXT, sentences, n_best(joint_tokenizer, sentences), joint_tokenizer, n_best=1
    )
    assert best.text == "  Le 0-0.\n\nLe 1-0.  Le 2-0. "
    for placed in best.sentences:
        assert best.text[placed.target_start : placed.target_end] == placed.decoded.text


def test_a_text_without_sentences_is_its_own_translation(joint_tokenizer):
    [best] = compose_best(" \n", [], [], joint_tokenizer, n_best=3)
    assert best.text == " \n"
    assert best.sentences == ()
