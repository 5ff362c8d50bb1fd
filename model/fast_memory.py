"""What the fast network remembers of its sources, in places that are used again and again.

Sentences of about the same length stand on one shelf, padded to its width, so that a long text
costs its neighbours nothing. A sentence that joins takes a free place and one that leaves gives it
back: nothing else is copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from model.layout import Grid, RowLayout

NARROWEST = 16
"""Source positions of the narrowest shelf.

Torch adds up a softmax row shorter than one vector of the processor in another order, and a row
must not depend on its company to the last bit, so no shelf is narrower.
"""

LARGEST_SHARE_EMPTY = 0.25
"""Share of a shelf's places that may stand empty before it is closed up; they are attended to."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """B sentences side by side, padded to the longest."""

    keys: Float[Tensor, "B S A"]
    """e^{2 U_a h_j} in float32; A is 0 without attention."""
    values: Float[Tensor, "B S C"]
    """The annotations as every reader of the context sees them, in float32."""
    bias: Float[Tensor, "B S"]
    """0 where a source token stands, −∞ on padding."""

    @classmethod
    def of(
        cls,
        keys: Float[Tensor, "N A"],
        values: Float[Tensor, "N C"],
        starts: Int[np.ndarray, " B"],
        lengths: Int[np.ndarray, " B"],
        positions: int,
    ) -> "Remembered":
        """Sentences, of those that stand one behind the other, padded to so many positions."""
        columns = np.arange(positions)
        # What stands on padding is masked; it has only to be finite.
        tokens = starts[:, None] + columns.clip(max=lengths[:, None] - 1)
        rows = torch.from_numpy(tokens.ravel()).to(keys.device)
        bias = np.where(columns < lengths[:, None], 0.0, -np.inf).astype(np.float32)
        return cls(
            keys.index_select(0, rows).view(*tokens.shape, -1),
            values.index_select(0, rows).view(*tokens.shape, -1),
            torch.from_numpy(bias).to(keys.device),
        )

    def select(self, sentences: Int[Tensor, " N"]) -> "Remembered":
        """What is remembered of these sentences."""
        return Remembered(self.keys[sentences], self.values[sentences], self.bias[sentences])

    def padded(self, positions: int) -> "Remembered":
        """The same with so many positions, the new ones masked."""
        behind = positions - self.bias.shape[1]
        if behind == 0:
            return self
        return Remembered(
            pad(self.keys, (0, 0, 0, behind), value=1.0),  # 0 times e^{2q} = ∞ would be no number
            pad(self.values, (0, 0, 0, behind)),
            pad(self.bias, (0, behind), value=-torch.inf),
        )


class Shelf:
    """Places for sentences of at most `width` source positions."""

    def __init__(self, memory: Remembered) -> None:
        """A shelf that holds `memory`, just as wide, in places 0, 1, 2, …"""
        self._memory = memory
        self._used = memory.bias.shape[0]
        """Places up to the last that is taken or was."""
        self._empty: list[int] = []
        """Places among these that stand empty."""

    @property
    def width(self) -> int:
        """Source positions of each place."""
        return self._memory.bias.shape[1]

    @property
    def used(self) -> int:
        """Places that are attended to, the empty ones among them."""
        return self._used

    @property
    def memory(self) -> Remembered:
        """What stands in the used places."""
        used = slice(self._used)
        return Remembered(
            self._memory.keys[used], self._memory.values[used], self._memory.bias[used]
        )

    def put(self, memory: Remembered) -> list[int]:
        """Take in sentences as wide as the shelf; gives the place of each."""
        count = memory.bias.shape[0]
        reused = min(count, len(self._empty))
        fresh = range(self._used, self._used + count - reused)
        places = [*(self._empty.pop() for _ in range(reused)), *fresh]
        self._used += len(fresh)
        self._make_room()
        index = torch.tensor(places, device=memory.bias.device)
        self._memory.keys[index] = memory.keys
        self._memory.values[index] = memory.values
        self._memory.bias[index] = memory.bias
        return places

    def give_back(self, place: int) -> None:
        """Let a place be taken again."""
        self._empty.append(place)

    def has_too_many_empty(self) -> bool:
        """Whether it is time to close up."""
        return len(self._empty) > LARGEST_SHARE_EMPTY * self._used

    def close_up(self, places: list[int]) -> None:
        """Keep only these places, which become 0, 1, 2, …"""
        device = self._memory.bias.device
        self._memory = self._memory.select(torch.tensor(places, dtype=torch.long, device=device))
        self._used, self._empty = len(places), []

    def _make_room(self) -> None:
        capacity = self._memory.bias.shape[0]
        if self._used > capacity:
            # Zeros and not what the storage held: empty places are attended to, NaN would spread.
            behind = max(self._used, capacity + capacity // 2) - capacity
            self._memory = Remembered(
                pad(self._memory.keys, (0, 0, 0, 0, 0, behind)),
                pad(self._memory.values, (0, 0, 0, 0, 0, behind)),
                pad(self._memory.bias, (0, 0, 0, behind)),
            )


@dataclass(frozen=True, slots=True)
class ShelfRows:
    """The rows that attend to one shelf."""

    shelf: Shelf
    memory: Remembered
    """What stands in the shelf's used places."""
    members: Int[Tensor, " N"] | None
    """Which of all rows they are; None for all, in order."""
    grid: Grid
    """These rows over the shelf's places."""
    values: Float[Tensor, "PS C"]
    """The values of all places, one below the other."""
    positions: Int[Tensor, " NS"]
    """Which of these each row attends to, row after row."""
    starts: Int[Tensor, " N"]
    """Where each row's positions begin."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a sentence stands."""

    shelf: Shelf
    place: int


@dataclass(frozen=True, slots=True)
class FastMemory:
    """The memory of B sentences. `join` and `keep` change the shelves themselves: the memory they
    are called on must not be used afterwards.
    """

    locations: list[Location]
    device: torch.device
    attending: tuple[ShelfRows, ...] = ()
    """The rows of each shelf; empty until `select` has said whose rows attend."""
    annotations: Sequence[Float[Tensor, "_ E"]] | None = None
    """What the encoder gave, for an alignment head to read; `join` and `keep` let go of it."""

    @classmethod
    def of(
        cls,
        keys: Float[Tensor, "N A"],
        values: Float[Tensor, "N C"],
        lengths: Int[np.ndarray, " B"],
    ) -> "FastMemory":
        """A new memory of what one encoding gave, sentence after sentence without padding.

        Those that would share a shelf beside others share one here, just wide enough.
        """
        starts, attends = lengths.cumsum() - lengths, keys.shape[1] > 0
        widths = [standard_width(length) for length in lengths.tolist()]
        locations: dict[int, Location] = {}
        for width in sorted(set(widths)):
            together = np.array([one for one, its in enumerate(widths) if its == width])
            longest = int(lengths[together].max())
            positions = max(longest, NARROWEST) if attends else longest
            shelf = Shelf(
                Remembered.of(keys, values, starts[together], lengths[together], positions)
            )
            places = enumerate(together.tolist())
            locations |= {sentence: Location(shelf, place) for place, sentence in places}
        return cls([locations[sentence] for sentence in range(len(locations))], keys.device)

    @property
    def context_size(self) -> int:
        """Width of a context (C): gates and readout side by side."""
        return self.locations[0].shelf.memory.values.shape[2]

    def fixed_contexts(self) -> Float[Tensor, "R C"]:
        """The contexts of a network without attention: each sentence's one vector."""
        [part] = self.attending
        return part.grid.collect(part.memory.values.expand(-1, part.grid.depth, -1))

    def select(self, rows: Int[Tensor, " R"]) -> "FastMemory":
        """The same memory, attended to by rows of these sentences (ascending); copies nothing."""
        owners = rows.numpy(force=True)
        layout = RowLayout.of(owners, len(self.locations))
        places = np.array([one.place for one in self.locations])[owners]
        shelves = self._shelves()
        if len(shelves) == 1:
            part = self._rows_of(shelves[0], places, layout.slots)
            return replace(self, attending=(part,))
        shelf_of = np.array([shelves.index(one.shelf) for one in self.locations])[owners]
        attending = []
        for number, shelf in enumerate(shelves):
            members = (shelf_of == number).nonzero()[0]
            part = self._rows_of(shelf, places[members], layout.slots[members])
            attending.append(replace(part, members=torch.from_numpy(members).to(self.device)))
        return replace(self, attending=tuple(attending))

    def _rows_of(
        self, shelf: Shelf, places: Int[np.ndarray, " N"], slots: Int[np.ndarray, " N"]
    ) -> ShelfRows:
        grid = Grid.of(places, slots, shelf.used, self.device)
        memory, width = shelf.memory, shelf.width
        positions = torch.from_numpy((places[:, None] * width + np.arange(width)).ravel())
        starts = torch.from_numpy(np.arange(0, positions.shape[0], width))
        return ShelfRows(
            shelf,
            memory,
            None,
            grid,
            memory.values.flatten(0, 1),
            positions.to(self.device),
            starts.to(self.device),
        )

    def keep(self, sentences: Int[Tensor, " B"]) -> "FastMemory":
        """The memory of these sentences alone; the places of the others are free."""
        kept = sentences.tolist()
        for gone in set(range(len(self.locations))).difference(kept):
            self.locations[gone].shelf.give_back(self.locations[gone].place)
        locations = [self.locations[sentence] for sentence in kept]
        for shelf in self._shelves():
            if shelf.has_too_many_empty():
                places = [one.place for one in locations if one.shelf is shelf]
                shelf.close_up(places)
                renamed = {place: Location(shelf, new) for new, place in enumerate(places)}
                locations = [renamed[one.place] if one.shelf is shelf else one for one in locations]
        return FastMemory(locations, self.device)

    def join(self, other: "FastMemory") -> "FastMemory":
        """These sentences and then the other's, each on the shelf of its width."""
        moved: dict[Location, Location] = {}
        for shelf in other._shelves():
            attends = shelf.memory.keys.shape[2] > 0
            leaving = [one for one in other.locations if one.shelf is shelf]
            memory = shelf.memory.select(self._indices([one.place for one in leaving]))
            home = self._home(shelf.width)
            if home is None:
                home = Shelf(memory.padded(standard_width(shelf.width) if attends else shelf.width))
                taken = list(range(len(leaving)))
            else:
                taken = home.put(memory.padded(home.width))
            moved |= {old: Location(home, new) for old, new in zip(leaving, taken, strict=True)}
        joined = [moved[location] for location in other.locations]
        return FastMemory(self.locations + joined, self.device)

    def _home(self, width: int) -> Shelf | None:
        """The narrowest shelf for sentences so long, of which they fill at least half."""
        fitting = [shelf for shelf in self._shelves() if width <= shelf.width <= 2 * width]
        return min(fitting, key=lambda shelf: shelf.width, default=None)

    def _shelves(self) -> list[Shelf]:
        """The shelves in use, in the order in which their sentences joined."""
        return list(dict.fromkeys(location.shelf for location in self.locations))

    def _indices(self, numbers: list[int]) -> Int[Tensor, " N"]:
        return torch.tensor(numbers, dtype=torch.long, device=self.device)


def standard_width(positions: int) -> int:
    """The width of a shelf that stands beside others: 16, 32, 64, …, so that there are few."""
    width = NARROWEST
    while width < positions:
        width *= 2
    return width
