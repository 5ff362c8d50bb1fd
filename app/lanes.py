"""Whose sentence is next: lanes, callers and requests take turns, and none waits for a long text.

Start-time fair queueing (Goyal, Vin & Cheng 1996) at each of three levels. Two lanes share the
network by weight, the callers of a lane equally, the requests of a caller equally, and the
sentences of one request come in order. What is shared is work (hypotheses × steps), not the number
of sentences. Pure data: no thread, no clock, no event loop.
"""

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from itertools import count
from typing import Generic, Literal, NamedTuple, TypeVar

Lane = Literal["interactive", "bulk"]

LANE_WEIGHTS: Mapping[Hashable, float] = {"interactive": 4.0, "bulk": 1.0}
"""Shares of the network while both lanes wait; a lane that waits alone has all of it."""

T = TypeVar("T")


class Place(NamedTuple):
    """Where a sentence waits."""

    lane: Lane
    caller: str
    request: int


class FairQueue(Generic[T]):
    """Items that wait, each with a place and its work; an item is taken by whose turn it is."""

    def __init__(self) -> None:
        self._lanes: _Branch[T] = _Branch(LANE_WEIGHTS)

    def __len__(self) -> int:
        return self._lanes.size

    def push(self, place: Place, item: T, work: float) -> None:
        """Let an item wait behind those of its request."""
        self._lanes.push(place, item, work)

    def pop(self, fits: Callable[[T], bool] = lambda _: True) -> T | None:
        """Take the item whose turn it is; None where there is none, or this one does not fit.

        One that does not fit keeps its turn, so that wide beams are not passed over for ever.
        """
        return self._lanes.pop(fits)

    def drop(self, place: Place) -> list[T]:
        """Take all items of one request out."""
        return self._lanes.drop(place)

    def clear(self) -> list[T]:
        """Take everything out."""
        items = self._lanes.items()
        self._lanes = _Branch(LANE_WEIGHTS)
        return items


class _Line(Generic[T]):
    """The sentences of one request, in order."""

    def __init__(self) -> None:
        self._items: deque[tuple[T, float]] = deque()
        self.work = 0.0

    @property
    def size(self) -> int:
        return len(self._items)

    def push(self, _path: tuple[Hashable, ...], item: T, work: float) -> None:
        self._items.append((item, work))
        self.work += work

    def pop(self, fits: Callable[[T], bool]) -> T | None:
        if not fits(self._items[0][0]):
            return None
        item, work = self._items.popleft()
        self.work -= work
        return item

    def drop(self, _path: tuple[Hashable, ...]) -> list[T]:
        items = self.items()
        self._items.clear()
        self.work = 0.0
        return items

    def items(self) -> list[T]:
        return [item for item, _ in self._items]


class _Branch(Generic[T]):
    """Children that take turns in proportion to their weights.

    The tag of a child is when its next turn begins, in units of work; the clock is the tag of the
    turn that was taken last. A child that comes back takes up its old tag or, if that has passed,
    the clock: nobody saves up turns, and nobody loses a debt by leaving.
    """

    def __init__(self, weights: Mapping[Hashable, float] | None = None) -> None:
        self.children: dict[Hashable, _Branch[T] | _Line[T]] = {}
        self.work = 0.0
        self.size = 0
        self._weights = weights or {}
        self._clock = 0.0
        self._tags: dict[Hashable, float] = {}
        self._turns: list[tuple[float, int, Hashable]] = []
        self._orders = count()
        self._current: dict[Hashable, int] = {}
        """The turn of each child that holds; others of it in the heap are void."""

    def push(self, path: tuple[Hashable, ...], item: T, work: float) -> None:
        name, rest = path[0], path[1:]
        child = self.children.get(name)
        if child is None:
            child = self.children[name] = _Branch() if rest else _Line()
            self._line_up(name, max(self._clock, self._tags.get(name, 0.0)))
        child.push(rest, item, work)
        self.work += work
        self.size += 1

    def pop(self, fits: Callable[[T], bool]) -> T | None:
        while self._turns and self._current.get(self._turns[0][2]) != self._turns[0][1]:
            heapq.heappop(self._turns)
        if not self._turns:
            return None
        tag, _, name = self._turns[0]
        child = self.children[name]
        before = child.work
        item = child.pop(fits)
        if item is None:
            return None
        work = before - child.work
        heapq.heappop(self._turns)
        self._clock = tag
        self._line_up(name, tag + work / self._weights.get(name, 1.0))
        self._shrink(name, work, 1)
        return item

    def drop(self, path: tuple[Hashable, ...]) -> list[T]:
        name, rest = path[0], path[1:]
        child = self.children.get(name)
        if child is None:
            return []
        before = child.work
        items = child.drop(rest)
        self._shrink(name, before - child.work, len(items))
        return items

    def items(self) -> list[T]:
        return [item for child in self.children.values() for item in child.items()]

    def _line_up(self, name: Hashable, tag: float) -> None:
        order = next(self._orders)
        self._tags[name] = tag
        self._current[name] = order
        heapq.heappush(self._turns, (tag, order, name))

    def _shrink(self, name: Hashable, work: float, items: int) -> None:
        self.work -= work
        self.size -= items
        if self.children[name].size == 0:
            del self.children[name], self._current[name]
        if not self.children:
            # Whoever comes now finds nobody waiting, so there is nothing to make up for.
            self.work, self._clock = 0.0, 0.0
            self._tags.clear()
            self._turns.clear()
        elif len(self._tags) > 2 * len(self.children) + 16:
            self._tags = {
                one: tag
                for one, tag in self._tags.items()
                if one in self.children or tag > self._clock
            }
