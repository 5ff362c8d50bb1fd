"""The table of a search: live sentences, their rows, and the memory that the rows attend to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.beam import Extension
from model.hypothesis import Ending, SearchOptions, best_first, length_penalty
from model.layout import RowLayout
from model.step_model import M
from model.trellis import ROOT

NOTHING = -1
"""Stands before the first token of a row that is shorter than others."""


@dataclass(slots=True)
class Sentence:
    """What the table knows of a sentence apart from its columns and rows."""

    slot: int
    source_length: int
    options: SearchOptions
    stream: bool
    run_limit: int = 1
    """How often a run of `options.no_repeat_ngram_size` tokens may come in a hypothesis."""
    target: tuple[int, ...] | None = None
    """Ids that its only hypothesis follows; None where the hypotheses are searched for."""
    head_keys: Float[Tensor, "S A"] | None = None
    """What the alignment head compares tokens with, where head weights were asked for."""
    endings: list[Ending] = field(default_factory=list)

    @property
    def longest_target(self) -> int:
        """Length in tokens at which its hypotheses are cut."""
        if self.target is not None:
            return len(self.target)
        return self.options.longest_target(self.source_length)

    def bar(self) -> float:
        """The log-probability that a live hypothesis must exceed to enter the n-best.

        −∞ while fewer than n have finished. A live hypothesis of log-probability L can reach no
        score above L / lp(longest_target).
        """
        finished = [ending for ending in best_first(self.endings) if ending.finished]
        if len(finished) < self.options.n_best:
            return -float("inf")
        lowest = finished[self.options.n_best - 1].score
        return lowest * length_penalty(self.longest_target, self.options.length_penalty)


@dataclass(frozen=True, slots=True)
class Columns:
    """What every step needs of the B live sentences, side by side."""

    widths: Int[np.ndarray, " B"]
    """Places left in the beam."""
    ages: Int[np.ndarray, " B"]
    """Steps made, which is the length of each of its live hypotheses."""
    longest: Int[np.ndarray, " B"]
    """Age at which the sentence is cut."""
    bars: Float[np.ndarray, " B"]
    """`Sentence.bar` of each."""
    run_lengths: Int[np.ndarray, " B"]
    """Tokens of a run that may not be repeated; 0 where any may."""
    run_limits: Int[np.ndarray, " B"]
    """How often such a run may come."""

    @classmethod
    def of(cls, sentences: Sequence[Sentence]) -> "Columns":
        """The columns of sentences before their first step."""
        count = len(sentences)
        return cls(
            widths=np.array([sentence.options.beam_size for sentence in sentences]),
            ages=np.zeros(count, dtype=np.int64),
            longest=np.array([sentence.longest_target for sentence in sentences]),
            bars=np.full(count, -np.inf),
            run_lengths=np.array([one.options.no_repeat_ngram_size for one in sentences]),
            run_limits=np.array([sentence.run_limit for sentence in sentences]),
        )

    def select(self, kept: Bool[np.ndarray, " B"]) -> "Columns":
        """The columns of the sentences that stay."""
        return Columns(
            self.widths[kept],
            self.ages[kept],
            self.longest[kept],
            self.bars[kept],
            self.run_lengths[kept],
            self.run_limits[kept],
        )

    def older(self) -> "Columns":
        """The columns after one more step."""
        return replace(self, ages=self.ages + 1)

    def join(self, other: "Columns") -> "Columns":
        """These and then the other's."""
        return Columns(
            np.concatenate([self.widths, other.widths]),
            np.concatenate([self.ages, other.ages]),
            np.concatenate([self.longest, other.longest]),
            np.concatenate([self.bars, other.bars]),
            np.concatenate([self.run_lengths, other.run_lengths]),
            np.concatenate([self.run_limits, other.run_limits]),
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The R live hypotheses, those of one sentence side by side, best first.

    Only the state is where the network is; everything else the search works out on the host.
    """

    sentences: Int[np.ndarray, " R"]
    """Column of the sentence that a row belongs to, ascending."""
    inputs: Int[np.ndarray, " R"]
    """Last token, BOS at first."""
    state: Float[Tensor, "R Z"]
    log_probs: Float[np.ndarray, " R"]
    nodes: list[int]
    """Trellis node of the last token."""
    past: Int[np.ndarray, "R T"]
    """All tokens so far, the last in the last column; shorter rows begin with `NOTHING`."""

    @classmethod
    def first(cls, state: Float[Tensor, "B Z"], bos_id: int) -> "Rows":
        """One row for each sentence, before the first step."""
        count = state.shape[0]
        log_probs = np.zeros(count, dtype=np.float32)
        past = np.empty((count, 0), dtype=np.int32)
        return cls(np.arange(count), np.full(count, bos_id), state, log_probs, [ROOT] * count, past)

    def extended(
        self, extension: Extension, state: Float[Tensor, "R Z"], nodes: list[int]
    ) -> "Rows":
        """The extended hypotheses as rows of the next step; `state` is that of their parents."""
        newest = extension.tokens[:, None].astype(np.int32)
        return Rows(
            extension.sentences,
            extension.tokens,
            extension.inherited(state),
            extension.log_probs,
            nodes,
            np.concatenate([self.past[extension.parents], newest], axis=1),
        )

    def select(self, kept: Bool[np.ndarray, " R"]) -> "Rows":
        """The rows that stay."""
        places = kept.nonzero()[0]
        return Rows(
            self.sentences[places],
            self.inputs[places],
            self.state.index_select(0, torch.from_numpy(places).to(self.state.device)),
            self.log_probs[places],
            [self.nodes[row] for row in places.tolist()],
            _without_empty_columns(self.past[places]),
        )

    def join(self, other: "Rows") -> "Rows":
        """These and then the other's."""
        width = max(self.past.shape[1], other.past.shape[1])
        return Rows(
            np.concatenate([self.sentences, other.sentences]),
            np.concatenate([self.inputs, other.inputs]),
            torch.cat([self.state, other.state]),
            np.concatenate([self.log_probs, other.log_probs]),
            self.nodes + other.nodes,
            np.concatenate([_widened(self.past, width), _widened(other.past, width)]),
        )

    def on_device(self) -> tuple[Int[Tensor, " R"], Float[Tensor, "R Z"]]:
        """What the network's next step takes of them."""
        return torch.from_numpy(self.inputs).to(self.state.device), self.state


class Table(Generic[M]):
    """B live sentences with R rows in all; the memory is held once a sentence, not once a row."""

    def __init__(self, sentences: list[Sentence], columns: Columns, rows: Rows, memory: M) -> None:
        self.sentences = sentences
        self.columns = columns
        self.rows = rows
        self._memory = memory
        self._attended: M | None = None
        self._layout: RowLayout | None = None

    @property
    def widest(self) -> int:
        """The widest beam asked for."""
        return max(sentence.options.beam_size for sentence in self.sentences)

    def prescribed(self, columns: Sequence[int]) -> Int[np.ndarray, " F"]:
        """The next token of each of these sentences, all of which follow a given target."""
        ages = self.columns.ages.tolist()
        targets = [(self.sentences[column].target, ages[column]) for column in columns]
        return np.array([target[age] for target, age in targets if target is not None])

    @property
    def wants_states(self) -> bool:
        """Whether an alignment head will look at the states of any sentence."""
        return any(sentence.head_keys is not None for sentence in self.sentences)

    def slots(self) -> list[int]:
        """The slot of each sentence."""
        return [sentence.slot for sentence in self.sentences]

    def nodes(self) -> list[int]:
        """Trellis nodes that are still needed: of live rows and of hypotheses that have ended."""
        ended = [ending.node for sentence in self.sentences for ending in sentence.endings]
        return [node for node in self.rows.nodes if node != ROOT] + ended

    def rename(self, nodes: dict[int, int]) -> None:
        """Follow the trellis after it has renumbered its nodes."""
        self.rows = replace(self.rows, nodes=[nodes[node] for node in self.rows.nodes])
        for sentence in self.sentences:
            sentence.endings = [
                replace(ending, node=nodes[ending.node]) for ending in sentence.endings
            ]

    def attended(self) -> M:
        """The memory of each row; made anew only when rows have moved between sentences."""
        if self._attended is None:
            self._attended = self._memory_of(self.rows)
        return self._attended

    def inputs_of(
        self, columns: Bool[np.ndarray, " B"]
    ) -> tuple[Int[Tensor, " R"], Float[Tensor, "R Z"], M]:
        """What the network's next step takes for the rows of these sentences alone."""
        rows = self.rows.select(columns[self.rows.sentences])
        return *rows.on_device(), self._memory_of(rows)

    def _memory_of(self, rows: Rows) -> M:
        return self._memory.select(torch.from_numpy(rows.sentences).to(rows.state.device))

    def layout(self) -> RowLayout:
        """Whose row each is; made anew only when rows have moved between sentences."""
        if self._layout is None:
            self._layout = RowLayout.of(self.rows.sentences, len(self.sentences))
        return self._layout

    def replace_rows(self, rows: Rows) -> None:
        """Put the rows of the next step in place."""
        before, after = self.rows.sentences, rows.sentences
        if after is not before and not np.array_equal(after, before):
            self._forget_layout()
        self.rows = rows

    def join(self, other: "Table[M]") -> None:
        """Take in another table's sentences, behind these."""
        offset = len(self.sentences)
        self.sentences = self.sentences + other.sentences
        self.columns = self.columns.join(other.columns)
        self.rows = self.rows.join(replace(other.rows, sentences=other.rows.sentences + offset))
        self._memory = self._memory.join(other._memory)
        self._forget_layout()

    def keep(self, kept: Bool[np.ndarray, " B"]) -> None:
        """Drop all other sentences with their rows, at once."""
        rows = self.rows.select(kept[self.rows.sentences])
        renumbered = kept.cumsum() - 1
        self.rows = replace(rows, sentences=renumbered[rows.sentences])
        self.columns = self.columns.select(kept)
        places = kept.nonzero()[0]
        self.sentences = [self.sentences[place] for place in places.tolist()]
        self._memory = self._memory.keep(torch.from_numpy(places).to(rows.state.device))
        self._forget_layout()

    def settled(self) -> Bool[np.ndarray, " B"]:
        """Sentences that have no live row left, or none that could still enter the n-best."""
        rows, layout = len(self.rows.nodes), self.layout()
        settled: Bool[np.ndarray, " B"] = np.equal(layout.counts, 0)
        if rows > 0:
            best = self.rows.log_probs[layout.first_rows.clip(max=rows - 1)]
            settled |= best <= self.columns.bars
        return settled

    def _forget_layout(self) -> None:
        self._layout = None
        self._attended = None


def _widened(past: Int[np.ndarray, "R T"], width: int) -> Int[np.ndarray, "R W"]:
    return np.pad(past, ((0, 0), (width - past.shape[1], 0)), constant_values=NOTHING)


def _without_empty_columns(past: Int[np.ndarray, "R T"]) -> Int[np.ndarray, "R W"]:
    """The same without what only rows that are gone were long enough for."""
    if past.size == 0 or past[:, 0].max() != NOTHING:
        return past
    first = int((past != NOTHING).any(axis=0).argmax())
    return past[:, first:]
