"""Rows in their places and back again."""

import torch

from model.layout import RowLayout

ROWS = torch.arange(8.0).view(4, 2)


def test_rows_come_back_in_their_order():
    layout = RowLayout.of(torch.tensor([0, 2, 2, 3]), 4)
    grid = layout.spread(ROWS, empty=-1.0)
    assert grid.shape == (4, 2, 2)
    assert grid[2].tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert grid[1].tolist() == [[-1.0, -1.0], [-1.0, -1.0]]
    assert torch.equal(layout.collect(grid), ROWS)
    assert layout.counts.tolist() == [1, 0, 2, 1]
    assert layout.first_rows.tolist() == [0, 1, 1, 3]


def test_a_full_grid_is_the_rows_themselves():
    layout = RowLayout.of(torch.tensor([0, 0, 1, 1]), 2)
    assert layout.places is None
    assert layout.spread(ROWS, empty=0.0).data_ptr() == ROWS.data_ptr()


def test_one_row_each_equals_the_general_layout():
    single = RowLayout.single(3, torch.device("cpu"))
    general = RowLayout.of(torch.arange(3), 3)
    for name in ("sentences", "counts", "first_rows"):
        assert torch.equal(getattr(single, name), getattr(general, name))
    assert (single.depth, single.places) == (general.depth, general.places)


def test_no_rows_at_all_have_a_layout():
    layout = RowLayout.of(torch.empty(0, dtype=torch.long), 2)
    assert layout.depth == 0
    assert layout.counts.tolist() == [0, 0]
