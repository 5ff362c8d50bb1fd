"""The memory of a search: every row of every step with a back-pointer to the row it extends."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CAPACITY = 1024
"""Nodes that a new trellis has room for."""

ROOT = -1
"""Parent of a first token."""


@dataclass(frozen=True, slots=True)
class Path:
    """What a walk along the back-pointers gives, first token first."""

    tokens: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    weights: Float[Tensor, "T W"]
    states: Float[Tensor, "T Z"]
    """The decoder's state after each step; Z is 0 where none were stored."""


class RowStore:
    """Rows of numbers, one a node, in one tensor that grows in both directions."""

    def __init__(self) -> None:
        self._rows = torch.zeros(CAPACITY, 0)

    @property
    def capacity(self) -> int:
        """Rows that fit."""
        return self._rows.shape[0]

    def put(self, first: int, rows: Float[Tensor, "R C"]) -> None:
        """Write rows `first`, `first` + 1, …; those before stay."""
        last = first + rows.shape[0]
        capacity, width = self._rows.shape
        if first == 0 and rows.device != self._rows.device:
            self._rows = self._rows.to(rows.device)
        if last > capacity or rows.shape[1] > width:
            self.resize(max(last, capacity), max(width, rows.shape[1]), used=first)
            width = self._rows.shape[1]
        places = self._rows[first:last]
        if rows.shape[1] < width:  # once widened for a longer source, it holds an earlier node's
            places[:, rows.shape[1] :] = 0.0
            places = places[:, : rows.shape[1]]
        places.copy_(rows)

    def take(self, nodes: list[int], columns: int | None = None) -> Float[Tensor, "T C"]:
        """A copy of these rows, cut to their first `columns`."""
        return self._rows[index_tensor(nodes), :columns]

    def keep(self, nodes: list[int]) -> None:
        """Move these rows, in ascending order, to the front."""
        self._rows[: len(nodes)] = self._rows[index_tensor(nodes)]

    def resize(self, capacity: int, width: int | None = None, *, used: int) -> None:
        """Make room for so many rows; the first `used` stay."""
        width = self._rows.shape[1] if width is None else width
        wider = torch.zeros(capacity, width, device=self._rows.device)
        wider[:used, : self._rows.shape[1]] = self._rows[:used]
        self._rows = wider


class Trellis:
    """Nodes of a search tree that sentences join and leave at any time.

    A node is one token of one hypothesis: its id, its log-probability, its attention row, its
    parent, and the decoder's state after it where an alignment head will need that. Hypotheses
    share the nodes of their common beginning, so nothing is copied when the beam reorders. When the
    store is full, `collect` keeps only what the given nodes still lead back to: the memory held is
    in proportion to the live hypotheses and not to the time the search has run.
    """

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._tokens: list[int] = []
        self._lengths: list[int] = []
        self._log_probs: list[float] = []
        self._weights = RowStore()
        self._states = RowStore()

    def __len__(self) -> int:
        return len(self._parents)

    def fits(self, rows: int) -> bool:
        """Whether so many nodes can be added without collecting or growing."""
        return len(self) + rows <= self._weights.capacity

    def extend(
        self,
        parents: list[int],
        tokens: list[int],
        log_probs: list[float],
        weights: Float[Tensor, "R W"],
        states: Float[Tensor, "R Z"] | None = None,
    ) -> list[int]:
        """Add a node for each row, after their parents; gives the new nodes in row order.

        `states` are kept for those who will ask `path` for them, and may be left out otherwise.
        """
        first, last = len(self), len(self) + len(parents)
        self._weights.put(first, weights)
        if states is not None:
            self._states.put(first, states)
        self._lengths.extend(
            1 if parent == ROOT else 1 + self._lengths[parent] for parent in parents
        )
        self._parents.extend(parents)
        self._tokens.extend(tokens)
        self._log_probs.extend(log_probs)
        return list(range(first, last))

    def path(self, node: int, positions: int) -> Path:
        """The hypothesis that ends in `node`, its weights cut to the source's own positions."""
        nodes = self.ancestry(node)
        return Path(
            tuple(self._tokens[index] for index in nodes),
            tuple(self._log_probs[index] for index in nodes),
            self._weights.take(nodes, positions).cpu(),
            self._states.take(nodes),
        )

    def ancestry(self, node: int) -> list[int]:
        """The nodes that lead to `node`, itself included, first token first."""
        nodes = []
        while node != ROOT:
            nodes.append(node)
            node = self._parents[node]
        return nodes[::-1]

    def length(self, node: int) -> int:
        """Tokens of the hypothesis that ends in `node`."""
        return self._lengths[node]

    def agreement(self, nodes: list[int]) -> int:
        """How many leading tokens the hypotheses that end in `nodes` have in common."""
        common = self.ancestry(nodes[0])
        for node in nodes[1:]:
            # Siblings differ in their token, so equal beginnings are the same nodes.
            other = set(self.ancestry(node))
            common = [index for index in common if index in other]
        return len(common)

    def collect(self, live: list[int]) -> dict[int, int]:
        """Forget all nodes that none of `live` leads back to; gives the new name of each kept."""
        kept: set[int] = set()
        for node in live:
            while node != ROOT and node not in kept:
                kept.add(node)
                node = self._parents[node]
        order = sorted(kept)
        renamed = {old: new for new, old in enumerate(order)} | {ROOT: ROOT}
        self._parents = [renamed[self._parents[old]] for old in order]
        self._tokens = [self._tokens[old] for old in order]
        self._lengths = [self._lengths[old] for old in order]
        self._log_probs = [self._log_probs[old] for old in order]
        self._weights.keep(order)
        self._states.keep(order)
        return renamed

    def make_room(self, rows: int) -> None:
        """Let `rows` more nodes fit; doubles the store where more than half of it is in use."""
        capacity = self._weights.capacity
        needed = 2 * (len(self) + rows)
        if needed > capacity:
            for store in (self._weights, self._states):
                store.resize(max(needed, 2 * capacity), used=len(self))


def index_tensor(nodes: list[int]) -> Int[Tensor, " N"]:
    """Nodes as an index, of the right type even when there is none."""
    return torch.tensor(nodes, dtype=torch.long)
