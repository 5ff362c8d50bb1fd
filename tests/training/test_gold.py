"""Gold alignments are read strictly, and a shift of the weights shows as a shift."""

import pytest
import torch

from model.alignment import GoldLinks
from model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from training.gold import (
    GoldError,
    GoldSentence,
    WordWeights,
    best_row,
    best_shift,
    read_gold,
    score_alignments,
    shifted,
    word_weights,
)


def write(folder, source, target, gold):
    for name, text in (("src.txt", source), ("tgt.txt", target), ("gold.txt", gold)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def checkpoint(tmp_path, joint_tokenizer) -> Checkpoint:
    return checkpoint_with(tmp_path, joint_tokenizer, attention="additive")


def checkpoint_with(folder, tokenizer, attention):
    torch.manual_seed(2)
    config = ModelConfig(
        source_vocabulary_size=tokenizer.size,
        target_vocabulary_size=tokenizer.size,
        embedding_size=4,
        encoder_units=3,
        decoder_units=5,
        attention_units=6,
        attention=attention,
    )
    save_checkpoint(
        folder / "tiny",
        model=Seq2Seq(config),
        source_tokenizer=tokenizer,
        target_tokenizer=tokenizer,
        source_language="en",
        target_language="fr",
        training={},
        metrics={},
        card="",
    )
    return load_checkpoint(folder / "tiny")


def test_sure_and_possible_links_are_told_apart(tmp_path):
    folder = write(tmp_path, "a b\nc\n", "x y\nz\n", "0-0 1p1\n\n")
    assert read_gold(folder) == [
        GoldSentence("a b", "x y", GoldLinks(frozenset({(0, 0)}), frozenset({(0, 0), (1, 1)}))),
        GoldSentence("c", "z", GoldLinks(frozenset(), frozenset())),
    ]


def test_reverse_swaps_sides_and_links(tmp_path):
    (sentence,) = read_gold(write(tmp_path, "a b", "x", "1-0"), reverse=True)
    assert sentence == GoldSentence("x", "a b", GoldLinks(*[frozenset({(0, 1)})] * 2))


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("0-0\n1-x\n", r"gold\.txt:2: link 1 is '1-x'"),
        ("0-0\n0-1\n", r"gold\.txt:2: link 0-1 lies outside the 1 source and 1 target words"),
        ("0-0\n", "src.txt 2, tgt.txt 2, gold.txt 1"),
        ("\n\n", r"gold\.txt: no link in it"),
    ],
)
def test_a_wrong_gold_file_says_where(tmp_path, gold, message):
    with pytest.raises(GoldError, match=message):
        read_gold(write(tmp_path, "a b\nc\n", "x y\nz\n", gold))


def test_a_missing_gold_file_is_named(tmp_path):
    with pytest.raises(GoldError, match=r"src\.txt"):
        read_gold(tmp_path)


def diagonal(moved):
    """Weights over four words that lie on the gold diagonal once rows are moved by `moved`."""
    weights = {}
    for shift in (-1, 0, 1):
        matrix = torch.full((4, 4), 0.05)
        for row in range(4):
            matrix[row, (row + shift - moved) % 4] = 0.85
        weights[shift] = matrix
    words = tuple((index,) for index in range(4))
    return WordWeights(weights, words, words)


GOLD = GoldSentence(
    "a b c d", "w x y z", GoldLinks(*[frozenset((index, index) for index in range(4))] * 2)
)


@pytest.mark.parametrize("moved", [-1, 0, 1])
def test_the_shift_that_fits_is_found(moved):
    rows = score_alignments([GOLD], [diagonal(moved)])
    assert best_shift(rows) == moved
    assert best_row(rows, moved).scores.aer == pytest.approx(0)
    if moved:
        assert best_row(rows).scores.aer > 0.4


def test_no_shift_wins_a_tie():
    rows = score_alignments([GOLD], [WordWeights({-1: W, 0: W, 1: W}, WORDS, WORDS)])
    assert best_shift(rows) == 0


W = torch.full((4, 4), 0.25)
WORDS = tuple((index,) for index in range(4))


def test_a_threshold_leaves_words_unlinked_that_argmax_links():
    weights = torch.tensor([[0.8, 0.1, 0.1], [0.4, 0.3, 0.3]])
    item = WordWeights({-1: weights, 0: weights, 1: weights}, WORDS[:3], WORDS[:2])
    gold = GoldSentence("a b c", "x y", GoldLinks(*[frozenset({(0, 0)})] * 2))
    rows = {(row.rule, row.threshold): row.scores for row in score_alignments([gold], [item])}
    assert rows["threshold", 0.5].aer == 0
    assert rows["argmax", None].precision == 0.5
    assert rows["links", 0.5].precision == 0.5
    assert rows["threshold", 0.9].recall == 0


def test_a_head_is_scored_by_agreement_too():
    weights = torch.tensor([[0.8, 0.1], [0.45, 0.4]])
    none = dict.fromkeys((-1, 0, 1), torch.zeros(2))
    item = WordWeights({-1: weights, 0: weights, 1: weights}, WORDS[:2], WORDS[:2], none)
    gold = GoldSentence("a b", "x y", GoldLinks(*[frozenset({(0, 0), (1, 1)})] * 2))
    rows = {(row.rule, row.threshold): row.scores for row in score_alignments([gold], [item])}
    assert rows["agreement", 0.5].aer == 0
    assert rows["links", 0.5].aer > 0


def test_two_heads_are_scored_by_what_both_agree_on():
    none = dict.fromkeys((-1, 0, 1), torch.zeros(2))
    weights, others = torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([[0.9, 0.0], [0.1, 0.9]])
    item, other = (
        WordWeights(dict.fromkeys((-1, 0, 1), one), WORDS[:2], WORDS[:2], none)
        for one in (weights, others)
    )
    gold = GoldSentence("a b", "x y", GoldLinks(*[frozenset({(0, 0), (1, 1)})] * 2))
    rows = score_alignments([gold], [item.beside(other)])
    scores = {(row.rule, row.threshold, row.shift): row.scores for row in rows}
    assert scores["both_directions", 0.4, 0].aer == 0
    assert scores["agreement", 0.4, 0].aer > 0
    assert {shift for rule, _, shift in scores if rule == "both_directions"} == {0}
    assert "both_directions" not in {row.rule for row in score_alignments([gold], [item])}


def test_models_that_cut_other_words_are_brought_to_the_same():
    item = WordWeights({0: torch.ones(2, 1)}, ((0, 1),), ((0,), (1, 2)))
    other = WordWeights({0: torch.tensor([[0.2, 0.7], [0.9, 0.1]])}, ((0, 1), (2,)), ((0,), (1,)))
    # Target words 0 and 1 are one token there: its column stands for both of them here.
    torch.testing.assert_close(item.beside(other).opposite, torch.tensor([[0.9, 0.9]]))


def test_a_column_of_several_words_links_each_of_them():
    weights = torch.tensor([[0.9]])
    item = WordWeights({-1: weights, 0: weights, 1: weights}, ((0, 1),), ((0,),))
    gold = GoldSentence("a b", "x", GoldLinks(*[frozenset({(0, 0), (1, 0)})] * 2))
    assert best_row(score_alignments([gold], [item])).scores.aer == 0


def attend(checkpoint, sentences):
    tokenizers = checkpoint.source_tokenizer, checkpoint.target_tokenizer
    return word_weights(checkpoint.model, *tokenizers, sentences)


def test_rows_are_those_of_white_space_words(checkpoint):
    sentences = [
        GoldSentence("Don't go , she said .", "N' y va pas , dit-elle .", GOLD.links),
        GoldSentence("Hi !", "Salut !", GOLD.links),
    ]
    first, second = attend(checkpoint, sentences)
    assert first.weights[0].shape == (7, 6)
    assert second.weights[0].shape == (2, 2)
    assert first.source_words == tuple((index,) for index in range(6))
    sums = first.weights[0].sum(dim=1)
    assert torch.all((sums > 0) & (sums <= 1 + 1e-4))


def test_a_shift_gives_each_token_the_row_of_a_neighbour():
    rows = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert torch.equal(shifted(rows, 0), rows)
    assert torch.equal(shifted(rows, 1), rows[[1, 2, 2]])
    assert torch.equal(shifted(rows, -1), rows[[0, 0, 1]])


def test_a_model_without_attention_cannot_be_aligned(tmp_path, joint_tokenizer):
    checkpoint = checkpoint_with(tmp_path, joint_tokenizer, attention="none")
    with pytest.raises(ValueError, match="no attention"):
        list(attend(checkpoint, [GOLD]))
