"""Places that are taken, given back and taken again, and who attends to what."""

import numpy as np
import torch

from model.fast_memory import FastMemory


def remembered(*numbers, lengths=None):
    """Sentences whose keys and values are their own number, of four positions or `lengths`."""
    lengths = np.array(lengths or [4] * len(numbers))
    filled = torch.tensor(np.repeat(numbers, lengths), dtype=torch.float32)[:, None]
    return FastMemory.of(filled.repeat(1, 2), filled.repeat(1, 3), lengths)


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
    memory = remembered(1, 2, 3)
    assert attended(memory, [0, 1, 1, 2]) == [[1, 16], [2, 16], [2, 16], [3, 16]]


def test_a_place_given_back_is_taken_again():
    memory = remembered(*range(1, 9)).keep(torch.tensor([0, 1, 2, 3, 4, 6, 7]))
    memory = memory.join(remembered(9))
    assert [row[0] for row in attended(memory, range(8))] == [1, 2, 3, 4, 5, 7, 8, 9]
    [part] = memory.select(torch.arange(8)).attending
    assert part.shelf.used == 8


def test_a_shelf_with_many_empty_places_is_closed_up():
    memory = remembered(*range(1, 9)).keep(torch.tensor([2, 5, 7]))
    assert [row[0] for row in attended(memory, [0, 0, 1, 2, 2])] == [3, 3, 6, 8, 8]
    [part] = memory.select(torch.arange(3)).attending
    assert part.shelf.used == 3


def test_long_sources_stand_on_a_shelf_of_their_own():
    memory = remembered(1, 2)
    memory = memory.join(remembered(3, lengths=[40]))
    memory = memory.join(remembered(4, lengths=[16]))
    expected = [[1, 16], [2, 16], [3, 64], [3, 64], [4, 16]]
    assert attended(memory, [0, 1, 2, 2, 3]) == expected
    memory = memory.keep(torch.tensor([2]))
    assert attended(memory, [0]) == [[3, 64]]


def test_those_who_come_together_stand_by_their_lengths():
    memory = remembered(1, 2, 3, 4, 5, lengths=[40, 3, 19, 9, 45])
    expected = [[1, 45], [2, 16], [3, 19], [4, 16], [5, 45]]
    assert attended(memory, range(5)) == expected
    memory = remembered(6, lengths=[7]).join(memory)
    expected = [[6, 16], [1, 64], [2, 16], [3, 32], [4, 16], [5, 64]]
    assert attended(memory, range(6)) == expected
    finite = [int(one.shelf.memory.bias[one.place].isfinite().sum()) for one in memory.locations]
    assert finite == [7, 40, 3, 19, 9, 45]


def test_a_shelf_takes_what_fills_at_least_half_of_it():
    memory = remembered(1, lengths=[40])
    for number, positions in ((2, 20), (3, 19), (4, 41), (5, 18)):
        memory = memory.join(remembered(number, lengths=[positions]))
    expected = [[1, 40], [2, 40], [3, 32], [4, 64], [5, 32]]
    assert attended(memory, range(5)) == expected


def test_what_an_earlier_sentence_left_is_masked():
    memory = remembered(*range(1, 6), lengths=[16] * 5).keep(torch.arange(4))
    memory = memory.join(remembered(9, lengths=[2]))
    [part] = memory.select(torch.arange(5)).attending
    assert part.shelf.used == 5
    assert part.shelf.memory.bias[4].isfinite().tolist() == [True] * 2 + [False] * 14


def test_storage_grows_and_keeps_what_it_held():
    memory = remembered(1)
    for number in range(2, 40):
        memory = memory.join(remembered(number))
    assert [row[0] for row in attended(memory, range(39))] == list(range(1, 40))
    [part] = memory.select(torch.arange(39)).attending
    assert part.shelf.memory.values.isfinite().all()
