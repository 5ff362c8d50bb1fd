"""Rows in their places and back again."""

import torch

from model.layout import Grid, RowLayout

ROWS = torch.arange(8.0).view(4, 2)


def test_rows_come_back_in_their_order():
    layout = RowLayout.of(torch.tensor([0, 2, 2, 3]), 4)
    grid = layout.grid.spread(ROWS, empty=-1.0)
    assert grid.shape == (4, 2, 2)
    assert grid[2].tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert grid[1].tolist() == [[-1.0, -1.0], [-1.0, -1.0]]
    assert torch.equal(layout.grid.collect(grid), ROWS)
    assert layout.counts.tolist() == [1, 0, 2, 1]
    assert layout.first_rows.tolist() == [0, 1, 1, 3]
    assert layout.slots.tolist() == [0, 0, 1, 0]


def test_a_full_grid_is_the_rows_themselves():
    grid = RowLayout.of(torch.tensor([0, 0, 1, 1]), 2).grid
    assert grid.places is None
    assert grid.spread(ROWS, empty=0.0).data_ptr() == ROWS.data_ptr()


def test_groups_in_another_order_are_not_mistaken_for_a_full_grid():
    grid = Grid.of(torch.tensor([1, 1, 0, 0]), torch.tensor([0, 1, 0, 1]), 2)
    spread = grid.spread(ROWS, empty=0.0)
    assert spread[1].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert torch.equal(grid.collect(spread), ROWS)


def test_no_rows_at_all_have_a_layout():
    layout = RowLayout.of(torch.empty(0, dtype=torch.long), 2)
    assert layout.grid.depth == 0
    assert layout.counts.tolist() == [0, 0]
