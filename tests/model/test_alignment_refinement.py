"""The refinement of an alignment: its equations, and that a matrix depends on itself alone."""

import pytest
import torch

from model import alignment_refinement
from model.alignment_refinement import AlignmentRefinement


def refinement(channels=4):
    torch.manual_seed(3)
    made = AlignmentRefinement(channels)
    with torch.no_grad():
        made.outer.weight.normal_()
    return made.eval()


def matrices(batch, rows, columns):
    torch.manual_seed(rows)
    energies = 3 * torch.randn(batch, rows, columns)
    return energies, torch.rand(batch, rows, columns).add(1e-4).log()


def everywhere(energies):
    return torch.ones_like(energies, dtype=torch.bool)


@torch.no_grad()
def by_hand(made, energies, log_attention):
    """The equations, cell by cell."""
    row, column = energies.softmax(1), energies.softmax(0)
    x = torch.stack(
        [
            row.log().clamp(min=-12) / 4,
            column.log().clamp(min=-12) / 4,
            log_attention / 4,
            row,
            column,
        ],
        dim=-1,
    )

    def around(field, cell):
        i, j = cell
        beside = [(i + down, j + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        rows, columns, width = field.shape
        return torch.cat(
            [
                field[k, m] if 0 <= k < rows and 0 <= m < columns else torch.zeros(width)
                for k, m in beside
            ]
        )

    rows, columns = energies.shape
    cells = [(i, j) for i in range(rows) for j in range(columns)]
    hidden = x
    for layer in (made.first, made.second):
        hidden = torch.stack([layer(around(hidden, cell)).relu() for cell in cells])
        hidden = hidden.view(rows, columns, -1)
    change = torch.stack([made.outer(around(hidden, cell))[0] for cell in cells])
    return energies + change.view(rows, columns)


@pytest.mark.parametrize("shape", [(5, 7), (1, 4), (3, 1), (1, 1)])
def test_energies_are_those_of_the_equations(shape):
    made = refinement()
    energies, attention = matrices(1, *shape)
    found = made(energies, attention, everywhere(energies))[0]
    torch.testing.assert_close(
        found.detach(), by_hand(made, energies[0], attention[0]), atol=1e-5, rtol=0
    )
    assert (found - energies[0]).abs().max() > 0.01


def test_it_begins_with_no_change():
    energies, attention = matrices(2, 3, 4)
    found = AlignmentRefinement(8)(energies, attention, everywhere(energies))
    torch.testing.assert_close(found, energies, atol=0, rtol=0)


def test_padding_is_not_seen():
    made = refinement()
    energies, attention = matrices(3, 9, 8)
    cells = torch.zeros(3, 9, 8, dtype=torch.bool)
    sizes = [(9, 8), (4, 3), (1, 6)]
    for index, (rows, columns) in enumerate(sizes):
        cells[index, :rows, :columns] = True
    found = made(energies, attention, cells)
    assert found.isfinite().all()
    for index, (rows, columns) in enumerate(sizes):
        alone = energies[index : index + 1, :rows, :columns]
        expected = made(alone, attention[index : index + 1, :rows, :columns], everywhere(alone))
        torch.testing.assert_close(found[index, :rows, :columns], expected[0], atol=1e-5, rtol=0)


def test_a_long_target_is_worked_on_in_parts(monkeypatch):
    made = refinement()
    energies, attention = matrices(1, 13, 5)
    whole = made(energies, attention, everywhere(energies))
    monkeypatch.setattr(alignment_refinement, "ROWS", 4)
    heights = []
    made.second.register_forward_hook(lambda _, inputs, __: heights.append(inputs[0].shape[1]))
    parts = made(energies, attention, everywhere(energies))
    assert heights == [4, 4, 4, 1]
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)


def test_gradients_are_finite_where_rows_are_padding():
    made = refinement().train()
    energies, attention = matrices(2, 6, 5)
    energies.requires_grad_()
    cells = everywhere(energies)
    cells[1, 2:] = False
    cells[1, :, 3:] = False
    weights = made(energies, attention, cells).softmax(-1)
    (weights[..., 0] * cells[..., 0]).sum().backward()
    for gradient in (energies.grad, *(parameter.grad for parameter in made.parameters())):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
    assert not energies.grad[1, 2:].any()
