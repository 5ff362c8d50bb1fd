"""Places that are taken, given back and taken again, and who attends to what."""

import torch

from model.fast_memory import FastMemory, Remembered


def remembered(*numbers, positions=5):
    """Sentences whose keys and values are their own number."""
    filled = torch.tensor(numbers, dtype=torch.float32)[:, None, None]
    bias = torch.zeros(len(numbers), positions)
    bias[:, -1] = -torch.inf
    return Remembered(filled.repeat(1, positions, 2), filled.repeat(1, positions, 3), bias)


def attended(memory, rows):
    """What each row finds at its place: the number of its sentence and the width of its shelf."""
    found = torch.zeros(len(rows), 2)
    for part in memory.select(torch.tensor(rows)).attending:
        members = slice(None) if part.members is None else part.members
        values = part.shelf.memory.values[:, 0, :1]
        numbers = part.grid.collect(values[:, None].expand(-1, part.grid.depth, -1))
        found[members, 0] = numbers[:, 0]
        found[members, 1] = float(part.shelf.width)
    return found.tolist()


def test_rows_find_their_sentence():
    memory = FastMemory.of(remembered(1, 2, 3))
    assert attended(memory, [0, 1, 1, 2]) == [[1, 16], [2, 16], [2, 16], [3, 16]]


def test_a_place_given_back_is_taken_again():
    memory = FastMemory.of(remembered(*range(1, 9))).keep(torch.tensor([0, 1, 2, 3, 4, 6, 7]))
    memory = memory.join(FastMemory.of(remembered(9)))
    assert [row[0] for row in attended(memory, range(8))] == [1, 2, 3, 4, 5, 7, 8, 9]
    [part] = memory.select(torch.arange(8)).attending
    assert part.shelf.used == 8


def test_a_shelf_with_many_empty_places_is_closed_up():
    memory = FastMemory.of(remembered(*range(1, 9))).keep(torch.tensor([2, 5, 7]))
    assert [row[0] for row in attended(memory, [0, 0, 1, 2, 2])] == [3, 3, 6, 8, 8]
    [part] = memory.select(torch.arange(3)).attending
    assert part.shelf.used == 3


def test_long_sources_stand_on_a_shelf_of_their_own():
    memory = FastMemory.of(remembered(1, 2))
    memory = memory.join(FastMemory.of(remembered(3, positions=40)))
    memory = memory.join(FastMemory.of(remembered(4, positions=16)))
    expected = [[1, 16], [2, 16], [3, 64], [3, 64], [4, 16]]
    assert attended(memory, [0, 1, 2, 2, 3]) == expected
    memory = memory.keep(torch.tensor([2]))
    assert attended(memory, [0]) == [[3, 64]]


def test_a_shelf_takes_what_fills_at_least_half_of_it():
    memory = FastMemory.of(remembered(1, positions=40))
    for number, positions in ((2, 20), (3, 19), (4, 41), (5, 18)):
        memory = memory.join(FastMemory.of(remembered(number, positions=positions)))
    expected = [[1, 40], [2, 40], [3, 32], [4, 64], [5, 32]]
    assert attended(memory, range(5)) == expected


def test_what_an_earlier_sentence_left_is_masked():
    memory = FastMemory.of(remembered(*range(1, 6), positions=16)).keep(torch.arange(4))
    memory = memory.join(FastMemory.of(remembered(9, positions=3)))
    [part] = memory.select(torch.arange(5)).attending
    assert part.shelf.used == 5
    assert part.shelf.memory.bias[4].isfinite().tolist() == [True] * 2 + [False] * 14


def test_storage_grows_and_keeps_what_it_held():
    memory = FastMemory.of(remembered(1))
    for number in range(2, 40):
        memory = memory.join(FastMemory.of(remembered(number)))
    assert [row[0] for row in attended(memory, range(39))] == list(range(1, 40))
    [part] = memory.select(torch.arange(39)).attending
    assert part.shelf.memory.values.isfinite().all()
