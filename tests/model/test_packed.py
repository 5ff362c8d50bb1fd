"""The private operators do what is relied upon; a torch that changes them fails here."""

import pytest
import torch
from torch.nn import functional as F

from model.packed import PackedLinear, kernel_rows, serving_device, serving_dtype


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str
)
@pytest.mark.parametrize("biased", [True, False])
def test_the_product_is_that_of_a_linear_layer(dtype, tolerance, biased):
    torch.manual_seed(1)
    weight, bias = torch.randn(48, 64) / 8, torch.randn(48) if biased else None
    for rows in (1, 3, 64):
        x = torch.randn(rows, 64)
        product = PackedLinear(weight, bias, dtype)(x)
        assert product.dtype == dtype
        expected = F.linear(x, weight, bias)
        torch.testing.assert_close(product.float(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("outputs", [1, 512, 1000])
def test_a_row_does_not_depend_on_the_others(dtype, outputs):
    torch.manual_seed(2)
    layer = PackedLinear(torch.randn(outputs, 256) / 16, None, dtype)
    x = torch.randn(70, 256)
    whole = layer(x)
    for first, last in ((0, 1), (3, 5), (10, 27), (5, 70)):
        torch.testing.assert_close(layer(x[first:last]), whole[first:last], atol=1e-6, rtol=1e-6)


def test_few_numbers_of_rows_have_a_kernel():
    padded = [kernel_rows(rows) for rows in range(1, 1025)]
    assert all(rows <= more <= rows * 9 / 8 for rows, more in enumerate(padded, 1))
    assert padded[:16] == list(range(1, 17))
    assert len(set(padded)) == 16 + 6 * 8


@pytest.mark.parametrize("rows", [17, 100, 321])
def test_rows_that_pad_a_product_are_not_seen(rows):
    torch.manual_seed(3)
    layer = PackedLinear(torch.randn(8, 64), torch.randn(8), torch.bfloat16)
    x = torch.randn(rows, 64)
    product = layer(x)
    assert product.shape == (rows, 8)
    assert torch.equal(product[-1:], layer(x[-1:]))


def test_weights_are_a_copy():
    weight = torch.ones(2, 4)
    layer = PackedLinear(weight, None, torch.float32)
    weight.zero_()
    assert layer(torch.ones(1, 4)).tolist() == [[4.0, 4.0]]


def test_serving_takes_bfloat16_only_where_the_processor_has_it(monkeypatch):
    processor = torch.device("cpu")
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_f": True})
    assert serving_dtype(processor) == torch.float32
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    assert serving_dtype(processor) == torch.bfloat16
    assert serving_dtype(torch.device("cuda")) == torch.float32


def test_serving_takes_a_gpu_where_there_is_one(monkeypatch):
    for found, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda found=found: found)
        assert serving_device().type == kind
