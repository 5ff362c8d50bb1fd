"""Rows in their places and back again."""

import numpy as np
import torch

from model.layout import Grid, RowLayout

ROWS = torch.arange(8.0).view(4, 2)


def test_rows_come_back_in_their_order():
    layout = RowLayout.of(np.array([0, 2, 2, 3]), 4)
    grid = Grid.of(layout.sentences, layout.slots, 4)
    spread = grid.spread(ROWS, empty=-1.0)
    assert spread.shape == (4, 2, 2)
    assert spread[2].tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert spread[1].tolist() == [[-1.0, -1.0], [-1.0, -1.0]]
    assert torch.equal(grid.collect(spread), ROWS)
    on_host = layout.spread(ROWS.numpy(), empty=-1.0)
    assert on_host.tolist() == spread.flatten(1).tolist()
    assert layout.counts.tolist() == [1, 0, 2, 1]
    assert layout.first_rows.tolist() == [0, 1, 1, 3]
    assert layout.slots.tolist() == [0, 0, 1, 0]


def test_a_full_grid_is_the_rows_themselves():
    layout = RowLayout.of(np.array([0, 0, 1, 1]), 2)
    grid = Grid.of(layout.sentences, layout.slots, 2)
    assert grid.places is None
    assert grid.spread(ROWS, empty=0.0).data_ptr() == ROWS.data_ptr()


def test_groups_in_another_order_are_not_mistaken_for_a_full_grid():
    grid = Grid.of(np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1]), 2)
    spread = grid.spread(ROWS, empty=0.0)
    assert spread[1].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert torch.equal(grid.collect(spread), ROWS)


def test_no_rows_at_all_have_a_layout():
    layout = RowLayout.of(np.empty(0, dtype=np.int64), 2)
    assert Grid.of(layout.sentences, layout.slots, 2).depth == 0
    assert layout.counts.tolist() == [0, 0]
