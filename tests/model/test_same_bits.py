"""A row of any width has the same bits alone and in company."""

import pytest
import torch

from model.same_bits import power_of_two_, sigmoid_


@pytest.mark.parametrize("width", [1, 16, 24, 32, 48, 100, 512])
@pytest.mark.parametrize(
    ("compute", "reference"),
    [(power_of_two_, torch.exp2), (sigmoid_, torch.sigmoid)],
    ids=["power of two", "sigmoid"],
)
def test_a_row_has_the_same_bits_in_any_company(compute, reference, width):
    torch.manual_seed(5)
    numbers = torch.randn(20, width) * 8
    together = compute(numbers.clone())
    torch.testing.assert_close(together, reference(numbers))
    for rows in range(1, 20):
        assert torch.equal(compute(numbers[:rows].clone()), together[:rows])


def test_extreme_numbers_have_their_limits():
    extremes = torch.tensor([-torch.inf, -200.0, 0.0, 200.0, torch.inf])
    assert sigmoid_(extremes.clone()).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert power_of_two_(extremes.clone()).tolist() == [0.0, 0.0, 1.0, torch.inf, torch.inf]
