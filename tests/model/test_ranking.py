"""The most probable tokens of each row are found, whatever stands beside it."""

import numpy as np
import pytest
import torch

from model.ranking import candidates, largest, prescribe


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


def test_rows_without_a_number_are_not_finite():
    logits = torch.tensor([[0.0, 1.0, torch.nan], [0.0, 1.0, 2.0], [torch.inf, 0.0, 0.0]])
    finite = np.isfinite(candidates(logits, banned(3)).log_probs).any(axis=1)
    assert finite.tolist() == [False, True, False]


@pytest.mark.parametrize("size", [11, 50, 704, 3072])
def test_the_largest_are_found_greatest_first(size):
    torch.manual_seed(4)
    for values in (torch.randn(9, size), torch.arange(9.0 * size).view(9, size)):
        places = largest(values.numpy(), 11)
        assert places.tolist() == values.topk(11, dim=1).indices.tolist()


def test_of_equal_log_probabilities_the_first_is_the_largest():
    values = np.array([[-2.0, -1.0, -np.inf, -1.0, -2.0, -np.inf]], dtype=np.float32)
    assert largest(values, 6).tolist() == [[1, 3, 0, 4, 2, 5]]


@pytest.mark.parametrize("size", [50, 3072, 4000, 4095, 8000])
def test_the_most_probable_tokens_have_the_largest_logits(size):
    torch.manual_seed(4)
    for logits in (
        torch.randn(9, size),
        torch.arange(9.0 * size).view(9, size) / 500.0,
        -torch.rand(9, size),
    ):
        found = candidates(logits, banned(size, size))
        expected = logits.topk(8, dim=1).indices.sort(dim=1).values
        assert np.sort(found.tokens, axis=1).tolist() == expected.tolist()


@pytest.mark.parametrize("size", [50, 4095, 8000])
def test_company_changes_no_bit(size):
    torch.manual_seed(8)
    # Rounded, so that many logits are equal.
    logits = (3.0 * torch.randn(150, size) + 9.0).bfloat16()
    together = candidates(logits, banned(size))
    for first, last in ((0, 1), (3, 5), (60, 70), (5, 150)):
        apart = candidates(logits[first:last], banned(size))
        assert apart.tokens.tolist() == together.tokens[first:last].tolist()
        assert apart.log_probs.tolist() == together.log_probs[first:last].tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_impossible_tokens_stand_behind_all_others(dtype):
    logits = torch.full((2, 5000), -torch.inf, dtype=dtype)
    logits[:, 100:4000:400] = torch.arange(10.0, dtype=dtype)
    found = candidates(logits, banned(5000))
    expected = logits[0].topk(8).indices.tolist()
    assert found.tokens[:, :8].tolist() == [expected, expected]
    assert np.isfinite(found.log_probs[:, :8]).all()


def test_a_vocabulary_may_have_more_tokens_than_two_bytes_count():
    torch.manual_seed(4)
    logits = torch.randn(2, 70_000)
    logits[0, 69_999] = logits[1, 65_537] = 9.0
    found = candidates(logits.bfloat16(), banned(70_000))
    assert found.tokens[:, 0].tolist() == [69_999, 65_537]


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
        return np.take_along_axis(logits.numpy(), tokens, axis=1)

    found = candidates(rounded, banned(5000), exact=exact)
    expected = logits.log_softmax(dim=1).topk(8, dim=1)
    order = np.argsort(-found.log_probs, axis=1)
    tokens = np.take_along_axis(found.tokens, order, axis=1)
    assert tokens[:, :3].tolist() == expected.indices[:, :3].tolist()
    errors = [
        np.abs(-np.sort(-one.log_probs, axis=1)[:, :3] - expected.values[:, :3].numpy()).max()
        for one in (found, candidates(rounded, banned(5000)))
    ]
    assert 8 * errors[0] < errors[1]
    rows = np.array([3, 11])
    again = prescribe(found, rounded, rows, found.tokens[rows, 0], exact)
    np.testing.assert_allclose(again.log_probs[:, 0], found.log_probs[:, 0], atol=1e-5)
    assert np.isneginf(again.log_probs[rows, 1:]).all()
