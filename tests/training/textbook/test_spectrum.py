"""Singular values against matrices whose singular values are known."""

import pytest
import torch

from model.cell import CELLS
from training.textbook.spectrum import scale_recurrence, spectra


def with_singular_values(values):
    torch.manual_seed(5)
    size = len(values)
    left, right = (torch.linalg.qr(torch.randn(size, size)).Q for _ in range(2))
    return left @ torch.diag(torch.tensor(values)) @ right


@pytest.mark.parametrize(
    ("kind", "gates"),
    [
        ("rnn", ["h"]),
        ("gru", ["reset", "update", "candidate"]),
        ("lstm", ["input", "forget", "candidate", "output"]),
    ],
)
def test_each_gate_has_the_singular_values_of_its_own_matrix(kind, gates):
    cell = CELLS[kind](3, 4)
    wanted = [[2.0 + n, 1.5, 0.5, 0.1] for n in range(len(gates))]
    with torch.no_grad():
        cell.recurrent.weight.copy_(torch.cat([with_singular_values(v) for v in wanted]))
    found = spectra(kind, cell)
    assert [spectrum.gate for spectrum in found] == gates
    for spectrum, values in zip(found, wanted, strict=True):
        assert spectrum.values == pytest.approx(values, abs=1e-5)
        assert spectrum.above_one == 0.5


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_recurrence_starts_orthogonal_and_scales(kind):
    cell = CELLS[kind](3, 6)
    scale_recurrence(cell, 2.5)
    for spectrum in spectra(kind, cell):
        assert spectrum.values == pytest.approx([2.5] * 6, abs=1e-5)
