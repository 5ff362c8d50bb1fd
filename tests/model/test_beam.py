"""One extension of several beams at once, on numbers small enough to check by hand."""

import numpy as np
import pytest
import torch

from model.beam import candidates, extend, largest, prescribe
from model.layout import RowLayout


def banned(size, token=0):
    return np.arange(size) == token


def log_table(rows):
    return torch.tensor(rows).log()


def test_candidates_keep_the_networks_own_probabilities():
    found = candidates(log_table([[0.5, 0.1, 0.4]]), banned(3))
    second, best = np.sort(np.exp(found.log_probs[0]))[-2:].tolist()
    assert found.tokens[0, found.log_probs[0].argmax()] == 2
    assert abs(best - 0.4) < 1e-6
    assert abs(second - 0.1) < 1e-6


def test_each_sentence_keeps_its_best_over_all_its_rows():
    logits = log_table([[0.0, 0.6, 0.4], [0.0, 0.9, 0.1], [0.0, 0.3, 0.7]])
    extension = extend(
        log_probs=np.log(np.array([0.5, 0.4, 1.0], dtype=np.float32)),
        options=candidates(logits, banned(3)),
        layout=RowLayout.of(np.array([0, 0, 1]), 2),
        widths=np.array([3, 1]),
        widest=3,
    )
    # 0.4 · 0.9, 0.5 · 0.6, 0.5 · 0.4 of the first sentence; 1.0 · 0.7 of the second.
    assert extension.parents.tolist() == [1, 0, 0, 2]
    assert extension.tokens.tolist() == [1, 1, 2, 2]
    assert extension.sentences.tolist() == [0, 0, 0, 1]
    assert np.exp(extension.log_probs) == pytest.approx([0.36, 0.3, 0.2, 0.7])
    assert np.exp(extension.token_log_probs) == pytest.approx([0.9, 0.6, 0.4, 0.7])


def test_a_narrow_beam_takes_the_first_of_what_a_wide_one_takes():
    torch.manual_seed(2)
    # Rounded so that many tokens are exactly equally probable.
    logits = torch.randn(4, 30).round()
    rows = RowLayout.of(np.arange(4), 4)
    options = candidates(logits, banned(30))
    start = np.zeros(4, dtype=np.float32)
    greedy = extend(start, options, rows, np.ones(4, dtype=np.int64), widest=1)
    wide = extend(start, options, rows, np.full(4, 5), widest=5)
    assert wide.tokens.reshape(4, 5)[:, 0].tolist() == greedy.tokens.tolist()
    mixed = extend(start, options, rows, np.array([1, 5, 1, 5]), widest=5)
    assert mixed.tokens.tolist() == [
        *greedy.tokens[:1].tolist(),
        *wide.tokens[5:10].tolist(),
        *greedy.tokens[2:3].tolist(),
        *wide.tokens[15:].tolist(),
    ]


def test_rows_without_a_number_are_not_finite():
    logits = torch.tensor([[0.0, 1.0, torch.nan], [0.0, 1.0, 2.0], [torch.inf, 0.0, 0.0]])
    finite = np.isfinite(candidates(logits, banned(3)).log_probs).any(axis=1)
    assert finite.tolist() == [False, True, False]


@pytest.mark.parametrize("size", [50, 3072, 4000, 4095, 8000])
def test_the_largest_of_blocks_are_the_largest_of_all(size):
    torch.manual_seed(4)
    for values in (
        torch.randn(9, size),
        torch.arange(9.0 * size).view(9, size),
        -torch.rand(9, size),
    ):
        best, places = largest(values, 11)
        expected = values.topk(11, dim=1)
        assert torch.equal(best, expected.values)
        assert torch.equal(values.gather(1, places), best)
        assert all(len(set(row)) == 11 for row in places.tolist())


def test_log_probabilities_survive_a_distribution_with_one_peak():
    logits = torch.zeros(1, 5000)
    logits[0, 7] = 300.0
    found = candidates(logits, banned(5000))
    assert found.tokens[0, 0] == 7
    assert found.log_probs[0, :2].tolist() == [0.0, -300.0]


def test_candidates_are_those_of_the_log_softmax_for_any_number_of_rows():
    torch.manual_seed(4)
    logits = 4.0 * torch.randn(150, 5000)
    found = candidates(logits, banned(5000, 4999))
    expected = logits.log_softmax(dim=1).gather(1, torch.from_numpy(found.tokens)).numpy()
    allowed = found.tokens != 4999
    np.testing.assert_allclose(found.log_probs[allowed], expected[allowed], rtol=1e-6, atol=1e-5)
    alone = candidates(logits[149:], banned(5000, 4999))
    assert found.tokens[149:].tolist() == alone.tokens.tolist()


def test_rounded_logits_are_made_anew_for_the_best():
    torch.manual_seed(6)
    logits = 3.0 * torch.randn(20, 5000) + 9.0
    rounded = logits.bfloat16()

    def exact(tokens):
        return logits.gather(1, tokens)

    found = candidates(rounded, banned(5000), exact=exact)
    expected = logits.log_softmax(dim=1).topk(8, dim=1)
    assert found.tokens[:, :3].tolist() == expected.indices[:, :3].tolist()
    by_rounded = candidates(rounded, banned(5000)).log_probs
    errors = [
        np.abs(log_probs[:, :3] - expected.values[:, :3].numpy()).max()
        for log_probs in (found.log_probs, by_rounded)
    ]
    assert 8 * errors[0] < errors[1]
    rows = np.array([3, 11])
    again = prescribe(found, rounded, rows, found.tokens[rows, 0], exact)
    np.testing.assert_allclose(again.log_probs[:, 0], found.log_probs[:, 0], atol=1e-5)
    assert np.isneginf(again.log_probs[rows, 1:]).all()
