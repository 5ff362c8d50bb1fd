"""Sentences of different lengths without their padding.

Two orders of the N tokens of B sentences matter. The memory holds sentence after sentence. A
recurrent network reads step by step: the t-th tokens of all sentences that have one stand side by
side, longest sentence first, so that those which go on are always the first rows of a step (the
order of torch's `PackedSequence`). Worked out in numpy, whose calls cost a third of torch's.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True, slots=True)
class Ragged:
    """How B sentences with N tokens in all are read in two directions at once.

    A step has a row for each sentence that goes on and direction: first all that read ahead, then
    all that read back, each from its own end.
    """

    lengths: Int[np.ndarray, " B"]
    starts: Int[np.ndarray, " B"]
    """Where each sentence begins, one behind the other."""
    counts: Int[np.ndarray, " S"]
    """Sentences that go on, at each step; S is the length of the longest."""
    ahead: Int[np.ndarray, " N"]
    """The row, counted through all steps, that reads each token ahead."""
    back: Int[np.ndarray, " N"]
    """The row that reads it back."""

    @classmethod
    def of(cls, lengths: Int[np.ndarray, " B"]) -> "Ragged":
        """The layout of sentences of these lengths, each at least 1."""
        sentences, starts = lengths.shape[0], lengths.cumsum() - lengths
        ranks = np.empty_like(lengths)
        ranks[np.argsort(-lengths, kind="stable")] = np.arange(sentences)
        counts = (np.arange(lengths.max()) < lengths[:, None]).sum(axis=0)
        first_rows = 2 * (counts.cumsum() - counts)
        owners = np.repeat(np.arange(sentences), lengths)
        steps = np.arange(owners.shape[0]) - starts[owners]
        steps_back = lengths[owners] - 1 - steps
        return cls(
            lengths,
            starts,
            counts,
            ahead=first_rows[steps] + ranks[owners],
            back=first_rows[steps_back] + counts[steps_back] + ranks[owners],
        )

    @property
    def ends(self) -> Int[np.ndarray, " B"]:
        """Where the last token of each sentence stands."""
        ends: Int[np.ndarray, " B"] = self.starts + self.lengths - 1
        return ends

    def inputs(
        self, ahead: Int[np.ndarray, " N"], back: Int[np.ndarray, " N"]
    ) -> Int[np.ndarray, " M"]:
        """What the rows of all steps read (M = 2N), given what is read of each token either way."""
        rows: Int[np.ndarray, " M"] = np.empty(2 * ahead.shape[0], dtype=ahead.dtype)
        rows[self.ahead] = ahead
        rows[self.back] = back
        return rows
