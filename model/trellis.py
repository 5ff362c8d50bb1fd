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


class Trellis:
    """Nodes of a search tree that sentences join and leave at any time.

    A node is one token of one hypothesis: its id, its log-probability, its attention row and its
    parent. Hypotheses share the nodes of their common beginning, so nothing is copied when the beam
    reorders. When the store is full, `collect` keeps only what the given nodes still lead back to:
    the memory held is in proportion to the live hypotheses and not to the time the search has run.
    """

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._tokens: list[int] = []
        self._log_probs: list[float] = []
        self._weights = torch.zeros(CAPACITY, 0)

    def __len__(self) -> int:
        return len(self._parents)

    def fits(self, rows: int) -> bool:
        """Whether so many nodes can be added without collecting or growing."""
        return len(self) + rows <= self._weights.shape[0]

    def extend(
        self,
        parents: list[int],
        tokens: list[int],
        log_probs: list[float],
        weights: Float[Tensor, "R W"],
    ) -> list[int]:
        """Add a node for each row, after their parents; gives the new nodes in row order."""
        first, last = len(self), len(self) + len(parents)
        self._reserve(last, weights)
        self._weights[first:last, : weights.shape[1]] = weights
        # A store once widened for a longer source may hold what an earlier node left there.
        self._weights[first:last, weights.shape[1] :] = 0.0
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
            self._weights[torch.tensor(nodes), :positions].cpu(),
        )

    def ancestry(self, node: int) -> list[int]:
        """The nodes that lead to `node`, itself included, first token first."""
        nodes = []
        while node != ROOT:
            nodes.append(node)
            node = self._parents[node]
        return nodes[::-1]

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
        self._log_probs = [self._log_probs[old] for old in order]
        self._weights[: len(order)] = self._weights[index_tensor(order)]
        return renamed

    def make_room(self, rows: int) -> None:
        """Let `rows` more nodes fit; doubles the store where more than half of it is in use."""
        capacity, width = self._weights.shape
        needed = 2 * (len(self) + rows)
        if needed > capacity:
            self._resize(max(needed, 2 * capacity), width)

    def _reserve(self, nodes: int, weights: Float[Tensor, "R W"]) -> None:
        capacity, width = self._weights.shape
        if len(self) == 0 and weights.device != self._weights.device:
            self._weights = self._weights.to(weights.device)
        if nodes > capacity or weights.shape[1] > width:
            self._resize(max(nodes, capacity), max(width, weights.shape[1]))

    def _resize(self, capacity: int, width: int) -> None:
        wider = torch.zeros(capacity, width, device=self._weights.device)
        used = self._weights[: len(self)]
        wider[: len(self), : used.shape[1]] = used
        self._weights = wider


def index_tensor(nodes: list[int]) -> Int[Tensor, " N"]:
    """Nodes as an index, of the right type even when there is none."""
    return torch.tensor(nodes, dtype=torch.long)
