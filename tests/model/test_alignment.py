from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alignment import (
    Alignment,
    GoldLinks,
    WordLink,
    agreed_links,
    agreement,
    agreement_of_both,
    alignment_error_rate,
    links,
    piece_alignment,
    regrouped,
    word_alignment,
)
from model.words import Token, WordPieces, group_pieces, tokens_at, words
from tests.unicode_texts import unicode_texts


def tokens(text: str) -> list[Token]:
    return words(text)


def groups(*pieces: tuple[int, ...]) -> list[WordPieces]:
    return [WordPieces(Token("w", i, i + 1), (i,), piece) for i, piece in enumerate(pieces)]


def gold(sure: set[tuple[int, int]], possible: set[tuple[int, int]] = frozenset()) -> GoldLinks:
    return GoldLinks(frozenset(sure), frozenset(sure | possible))


WEIGHTS = torch.tensor(
    [
        [0.1, 0.2, 0.3, 0.4],
        [0.5, 0.0, 0.25, 0.25],
        [0.0, 0.0, 0.1, 0.9],
    ]
)


def test_a_piece_matrix_leaves_eos_out_and_reports_it():
    alignment = piece_alignment(WEIGHTS, tokens("a b c"), tokens("x y"), "attention")
    assert (alignment.kind, alignment.level) == ("attention", "piece")
    torch.testing.assert_close(alignment.weights, WEIGHTS[:2, :3])
    torch.testing.assert_close(alignment.eos, torch.tensor([0.4, 0.25]))
    torch.testing.assert_close(alignment.eos_row, WEIGHTS[2])


def test_an_unfinished_hypothesis_has_no_eos_row():
    alignment = piece_alignment(WEIGHTS, tokens("a b c"), tokens("x y z"), "head")
    assert alignment.kind == "head"
    assert alignment.eos_row is None
    torch.testing.assert_close(alignment.weights, WEIGHTS[:, :3])


@pytest.mark.parametrize(("source", "target"), [("a b", "x y"), ("a b c d", "x y"), ("a b c", "x")])
def test_sizes_that_disagree_are_refused(source, target):
    with pytest.raises(ValueError, match="weights are 3 x 4 for"):
        piece_alignment(WEIGHTS, tokens(source), tokens(target), "attention")


def test_columns_of_a_word_are_summed_and_rows_averaged():
    pieces = piece_alignment(WEIGHTS, tokens("a b c"), tokens("x y"), "attention")
    merged = word_alignment(pieces, groups((0,), (1, 2)), groups((0, 1)))
    assert (merged.kind, merged.level) == ("attention", "word")
    torch.testing.assert_close(merged.weights, torch.tensor([[0.3, 0.375]]))
    torch.testing.assert_close(merged.eos, torch.tensor([0.325]))
    torch.testing.assert_close(merged.eos_row, torch.tensor([0.0, 0.1, 0.9]))


def test_a_matrix_without_rows_keeps_its_columns():
    pieces = piece_alignment(WEIGHTS[2:], tokens("a b c"), [], "attention")
    merged = word_alignment(pieces, groups((0, 1), (2,)), [])
    assert merged.weights.shape == (0, 2)
    torch.testing.assert_close(merged.eos_row, torch.tensor([0.0, 0.1, 0.9]))


@pytest.mark.parametrize(
    "source", [groups((0,), (1,)), groups((0, 1), (1, 2)), groups((0, 1, 2, 3))]
)
def test_words_that_do_not_hold_each_piece_once_are_refused(source):
    pieces = piece_alignment(WEIGHTS, tokens("a b c"), tokens("x y"), "attention")
    with pytest.raises(ValueError, match="source words do not hold each of 3 pieces exactly once"):
        word_alignment(pieces, source, groups((0,), (1,)))


def test_words_are_not_merged_twice():
    pieces = piece_alignment(WEIGHTS, tokens("a b c"), tokens("x y"), "attention")
    merged = word_alignment(pieces, groups((0,), (1,), (2,)), groups((0,), (1,)))
    with pytest.raises(
        ValueError, match="expected an alignment of pieces, got one of level 'word'"
    ):
        word_alignment(merged, groups((0,), (1,), (2,)), groups((0,), (1,)))


@settings(max_examples=200)
@given(source=unicode_texts(40), target=unicode_texts(40), seed=st.integers(0, 2**31))
def test_word_rows_plus_eos_are_one_and_tokens_slice_the_texts(
    joint_tokenizer, source, target, seed
):
    encoded = joint_tokenizer.encode_with_spans(source)
    decoded = joint_tokenizer.decode_with_spans(joint_tokenizer.encode(target))
    rows, columns = len(decoded.spans) + 1, len(encoded.spans) + 1
    scores = 6 * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    pieces = piece_alignment(
        scores.softmax(dim=1),
        tokens_at(source, encoded.spans),
        tokens_at(decoded.text, decoded.spans),
        "attention",
    )
    source_words = group_pieces(source, words(source), encoded.spans)
    target_words = group_pieces(decoded.text, words(decoded.text), decoded.spans)
    if not source_words or not target_words:
        return
    merged = word_alignment(pieces, source_words, target_words)
    assert merged.weights.shape == (len(target_words), len(source_words))
    torch.testing.assert_close(
        merged.weights.sum(dim=1) + merged.eos, torch.ones(len(target_words)), atol=1e-4, rtol=0
    )
    assert merged.eos_row.sum().item() == pytest.approx(1.0, abs=1e-4)
    assert all(token.text == source[token.start : token.end] for token in merged.source)
    assert all(token.text == decoded.text[token.start : token.end] for token in merged.target)


def test_a_placed_alignment_slices_the_document():
    alignment = piece_alignment(WEIGHTS, tokens("a b c"), tokens("x y"), "attention")
    placed = alignment.placed(source_start=4, target_start=2)
    assert all(token.text == "... a b c"[token.start : token.end] for token in placed.source)
    assert [(token.start, token.end) for token in placed.target] == [(2, 3), (4, 5)]
    assert placed.weights is alignment.weights


def test_each_row_links_its_largest_weight():
    assert links(torch.tensor([[0.25, 0.5], [0.75, 0.125]])) == [
        WordLink(1, 0, 0.5),
        WordLink(0, 1, 0.75),
    ]


def test_ties_go_to_the_lowest_source():
    tied = torch.tensor([[0.0, 0.25, 0.25, 0.25], [0.125, 0.125, 0.125, 0.125]])
    assert links(tied) == [WordLink(1, 0, 0.25), WordLink(0, 1, 0.125)]


def test_weights_from_the_threshold_up_are_linked_too():
    weights = torch.tensor([[0.5, 0.25, 0.125], [0.125, 0.0, 0.0625]])
    assert links(weights, threshold=0.25) == [
        WordLink(0, 0, 0.5),
        WordLink(1, 0, 0.25),
        WordLink(0, 1, 0.125),
    ]
    assert len(links(weights, threshold=0.0)) == 6


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_matrix_has_no_links(shape):
    assert links(torch.zeros(shape), threshold=0.0) == []


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    with pytest.raises(ValueError, match=r"threshold is .*; it must be in \[0, 1\]"):
        links(WEIGHTS, threshold)


def test_the_error_rate_of_one_sentence_by_hand():
    # A = {00, 11, 21}, S = {00, 12}, P = S + {11}: |A∩S| = 1, |A∩P| = 2.
    scores = alignment_error_rate([{(0, 0), (1, 1), (2, 1)}], [gold({(0, 0), (1, 2)}, {(1, 1)})])
    assert scores.aer == pytest.approx(1 - 3 / 5)
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(1 / 2)


def test_the_error_rate_of_a_corpus_counts_links_not_sentences():
    predicted = [[(0, 0)], [(0, 0), (1, 0), (2, 0), (0, 0)]]
    reference = [gold({(0, 0)}), gold({(0, 0), (1, 1)})]
    scores = alignment_error_rate(predicted, reference)
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.aer == pytest.approx(1 - 4 / 7)


def test_perfect_and_hopeless_links():
    assert alignment_error_rate([{(0, 0)}], [gold({(0, 0)})]).aer == 0.0
    hopeless = alignment_error_rate([{(1, 1)}], [gold({(0, 0)})])
    assert (hopeless.aer, hopeless.precision, hopeless.recall) == (1.0, 0.0, 0.0)


def test_possible_links_cost_nothing_when_missed():
    assert alignment_error_rate([{(0, 0)}], [gold({(0, 0)}, {(1, 1)})]).aer == 0.0


def test_nothing_to_link_is_no_error():
    scores = alignment_error_rate([[]], [gold(set())])
    assert (scores.aer, scores.precision, scores.recall) == (0.0, 1.0, 1.0)


def test_predictions_without_gold_are_refused():
    with pytest.raises(ValueError, match="zip"):
        alignment_error_rate([[], []], [gold(set())])


def test_a_head_row_that_chooses_eos_has_no_best_link():
    weights = torch.tensor([[0.1, 0.2], [0.6, 0.1], [0.3, 0.4]])
    eos = torch.tensor([0.7, 0.3, 0.3])
    assert [link[:2] for link in links(weights, eos=eos)] == [(0, 1), (1, 2)]
    assert [link[:2] for link in links(weights, 0.2, eos)] == [(1, 0), (0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(("kind", "linked"), [("attention", [(1, 0)]), ("head", [])])
def test_only_a_head_links_a_token_to_nothing(kind, linked):
    weights = torch.tensor([[0.1, 0.2, 0.7]])
    both = [Token("a", 0, 1), Token("b", 2, 3)]
    alignment = piece_alignment(weights, both, both[:1], kind)
    assert [link[:2] for link in alignment.links()] == linked


def test_links_go_by_agreement_from_the_alignments_own_threshold_unless_told_otherwise():
    weights = torch.tensor([[0.3, 0.5, 0.2], [0.0, 0.9, 0.1]])
    both = [Token("a", 0, 1), Token("b", 2, 3)]
    alignment = piece_alignment(weights, both, both, "head", threshold=0.5)
    # 0.3 / √0.3, 0.5 / √1.4, 0.9 / √1.4: "b" falls to the token that lays more claim to it.
    assert [link[:2] for link in alignment.links()] == [(0, 0), (1, 1)]
    assert [link[:2] for link in alignment.links(0.4)] == [(1, 0), (1, 1)]
    assert (alignment.link_rule(), alignment.link_rule(0.4)) == ("agreement", "weight")
    groups = [WordPieces(both[0], (0,), (0,)), WordPieces(both[1], (1,), (1,))]
    assert word_alignment(alignment, groups, groups).threshold == 0.5


def test_agreement_is_the_geometric_mean_of_the_shares_of_row_and_column():
    weights = torch.tensor([[0.6, 0.1, 0.0], [0.2, 0.8, 0.0]])
    shares = weights / torch.tensor([0.8, 0.9, 1.0])
    torch.testing.assert_close(agreement(weights), (weights * shares).sqrt())


def test_agreed_links_keep_their_weights_and_may_leave_a_token_alone():
    weights = torch.tensor([[0.25, 0.25], [1.0, 0.0]])
    assert agreed_links(weights, 0.5) == [WordLink(1, 0, 0.25), WordLink(0, 1, 1.0)]
    assert agreed_links(torch.zeros(2, 3), 0.1) == agreed_links(torch.zeros(0, 3), 0.1) == []


def test_both_directions_link_what_both_models_agree_on():
    # For itself this model would link the first token to the second source token, too.
    weights = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    opposite = torch.tensor([[0.9, 0.0], [0.1, 0.9]])
    both = [Token("a", 0, 1), Token("b", 2, 3)]
    alone = Alignment(
        kind="head",
        level="word",
        source=tuple(both),
        target=tuple(both),
        weights=weights,
        eos=torch.zeros(2),
        eos_row=None,
        threshold=0.4,
    )
    assert [link[:2] for link in alone.links()] == [(0, 0), (1, 0), (1, 1)]
    beside = replace(alone, opposite=opposite)
    assert beside.link_rule() == "both_directions"
    assert [tuple(link) for link in beside.links()] == [(0, 0, 0.5), (1, 1, 1.0)]
    assert beside.link_rule(0.4) == "weight"
    assert beside.links(0.4) == alone.links(0.4)
    assert beside.placed(3, 4).opposite is opposite


def test_agreement_of_both_is_the_mean_and_knows_no_first_model():
    weights, opposite = torch.rand(3, 2), torch.rand(2, 3)
    both = agreement_of_both(weights, opposite)
    torch.testing.assert_close(both, (agreement(weights) + agreement(opposite).T) / 2)
    torch.testing.assert_close(both, agreement_of_both(opposite, weights).T)


def test_weights_between_other_tokens_are_the_greatest_of_those_that_are_touched():
    weights = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    assert torch.equal(regrouped(weights, [[0], [1]], [[0], [1], [2]]), weights)
    found = regrouped(weights, [[0, 1], [], [1]], [[2], [0, 1], []])
    torch.testing.assert_close(
        found, torch.tensor([[0.6, 0.5, 0.0], [0.0, 0.0, 0.0], [0.6, 0.5, 0.0]])
    )
    assert regrouped(weights, [], [[0]]).shape == (0, 1)
    assert regrouped(weights, [[0]], []).shape == (1, 0)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_agreement_from_nothing_on_or_beyond_one_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        agreed_links(torch.ones(1, 1), threshold)
