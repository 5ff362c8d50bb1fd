"""The loss in one pass against torch's own functions."""

import pytest
import torch
from torch.nn import functional as F

from training.loss import CHUNK, label_smoothed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 5, CHUNK, CHUNK + 3])
def test_loss_and_gradient_equal_torchs_cross_entropy(rows, smoothing):
    torch.manual_seed(rows)
    logits = torch.randn(rows, 2, 7, requires_grad=True)
    targets = torch.randint(0, 7, (rows, 2))
    ours = label_smoothed_cross_entropy(logits, targets, pad_id=0, smoothing=smoothing)
    (gradient,) = torch.autograd.grad(3.0 * ours.smoothed, logits)
    expected = F.cross_entropy(
        logits.flatten(0, 1),
        targets.flatten(),
        ignore_index=0,
        label_smoothing=smoothing,
        reduction="sum",
    )
    (expected_gradient,) = torch.autograd.grad(3.0 * expected, logits)
    torch.testing.assert_close(ours.smoothed, expected)
    torch.testing.assert_close(gradient, expected_gradient)
    assert int(ours.tokens) == int((targets != 0).sum())


def test_reported_likelihood_has_no_smoothing():
    logits, targets = torch.randn(4, 5), torch.tensor([1, 2, 0, 3])
    ours = label_smoothed_cross_entropy(logits, targets, pad_id=0, smoothing=0.3)
    expected = F.cross_entropy(logits, targets, ignore_index=0, reduction="sum")
    torch.testing.assert_close(ours.negative_log_likelihood, expected)


def test_batches_add_up():
    logits, targets = torch.randn(6, 5), torch.tensor([1, 2, 0, 3, 4, 1])
    whole = label_smoothed_cross_entropy(logits, targets, pad_id=0, smoothing=0.1)
    halves = [
        label_smoothed_cross_entropy(part, wanted, pad_id=0, smoothing=0.1)
        for part, wanted in zip(logits.split(3), targets.split(3), strict=True)
    ]
    torch.testing.assert_close(whole.smoothed, halves[0].smoothed + halves[1].smoothed)


def test_bfloat16_logits_give_a_bfloat16_gradient_near_the_exact_one():
    logits = torch.randn(8, 50)
    rounded = logits.bfloat16().requires_grad_()
    exact = logits.bfloat16().float().requires_grad_()
    targets = torch.randint(1, 50, (8,))
    for tensor in (rounded, exact):
        label_smoothed_cross_entropy(tensor, targets, pad_id=0, smoothing=0.1).smoothed.backward()
    assert rounded.grad.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.grad.float(), exact.grad, atol=4e-3, rtol=1e-2)


def test_padding_gives_no_gradient():
    logits = torch.randn(3, 5, requires_grad=True)
    sums = label_smoothed_cross_entropy(logits, torch.tensor([0, 2, 0]), pad_id=0, smoothing=0.1)
    sums.smoothed.backward()
    assert not logits.grad[[0, 2]].any()
    assert logits.grad[1].any()
