"""Batches of a parallel corpus: near in length, bounded in padded tokens, in a seeded order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from model.batch import SentenceBatch, pad_sentences
from training.dataset import ParallelDataset, TokenArray
from training.joining import Examples, join, join_some

JITTER = 0.1
"""Lengths are blurred by up to this share before sorting, so that no two epochs batch alike."""


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """One batch of sentence pairs for teacher forcing; the shift by one has been made here."""

    source: SentenceBatch
    inputs: Int[Tensor, "B T"]
    """Target ids behind BOS, without EOS: what the decoder reads."""
    targets: Int[Tensor, "B T"]
    """Target ids with EOS: what the decoder must say; padding where the sentence is over."""
    target_lengths: Int[Tensor, " B"]
    """Tokens of `targets`, EOS included; 0 for a row that only fills the batch of a rank."""
    indices: tuple[int, ...]
    """Which pairs of the corpus these are, to name them when a batch goes wrong; more than rows
    where pairs were joined."""

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same batch on another device."""
        return TrainingBatch(
            self.source.to(device),
            self.inputs.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.target_lengths.to(device, non_blocking=True),
            self.indices,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """Cuts a corpus into batches, as a function of (seed, epoch) and of nothing else.

    The plan is the same for every `world` size: each rank takes its share of the rows of every
    batch, so that the update of two ranks is that of one process.
    """

    dataset: ParallelDataset
    max_batch_tokens: int
    """Bound of rows × the longest source or target in them; a longer pair is a batch by itself."""
    seed: int
    pad_id: int
    bos_id: int
    joined_share: float = 0.0
    """Share of the pairs that are joined to longer examples, others in every epoch."""
    joined_pieces: int = 60
    """Longest example that pairs are joined to."""
    pairs: npt.NDArray[np.int64] | None = None
    """Numbers of the pairs that are taken; without it, all."""
    multiple: int = 1
    """Sides count as rounded up to a multiple of it, where batches will be padded so."""
    rank: int = 0
    world: int = 1

    def epoch(self, epoch: int) -> "Epoch":
        """The examples of an epoch in their batches, all ranks together: every pair once."""
        random = np.random.default_rng((self.seed, epoch))
        source, target = self.dataset.source.lengths, self.dataset.target.lengths
        examples = join_some(
            np.maximum(source, target), self.joined_share, self.joined_pieces, random, self.pairs
        )
        source, target = examples.lengths(source), examples.lengths(target)
        source_key, target_key = (
            lengths * (1 + JITTER * random.random(len(lengths), dtype=np.float32))
            for lengths in (source, target)
        )
        # By target length first, whose padding costs most (output layer), then by source length.
        order = np.lexsort((source_key, np.floor(target_key)))
        longest = np.maximum(source, target)
        padded = -(-longest // self.multiple) * self.multiple
        batches = _cut(order, padded, self.max_batch_tokens)
        return Epoch(examples, [batches[i] for i in random.permutation(len(batches))])

    def batches(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch for this rank, from batch `start` on.

        (epoch, number of batches taken) is the whole state of the data: a run that resumes there
        sees exactly what an unbroken one would have.
        """
        plan = self.epoch(epoch)
        for number in range(start, len(plan)):
            yield self.batch(plan[number])

    def batch(self, examples: Examples) -> TrainingBatch:
        """This rank's share of the examples, padded and shifted."""
        own = np.arange(len(examples))[self.rank :: self.world]
        if len(own):
            return self._collate(examples.take(own))
        # Fewer rows than ranks. Every rank must take part in the exchange of gradients, so this
        # one runs a row of another with no target to learn from.
        filler = self._collate(examples.take(np.array([0])))
        return TrainingBatch(
            filler.source,
            filler.inputs,
            torch.full_like(filler.targets, self.pad_id),
            torch.zeros_like(filler.target_lengths),
            (),
        )

    def _collate(self, examples: Examples) -> TrainingBatch:
        joined = join(self.dataset, examples)
        batch = collate(joined, np.arange(len(examples)), pad_id=self.pad_id, bos_id=self.bos_id)
        return replace(batch, indices=tuple(examples.rows.tolist()))


@dataclass(frozen=True, slots=True)
class Epoch:
    """The examples of one pass over the corpus, and which of them go together."""

    examples: Examples
    numbers: list[npt.NDArray[np.int64]]
    """Of the examples in each batch."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, batch: int) -> Examples:
        return self.examples.take(self.numbers[batch])


def collate(
    dataset: ParallelDataset, rows: npt.NDArray[np.int64], *, pad_id: int, bos_id: int
) -> TrainingBatch:
    """Pad the given pairs into one batch, in the given order."""
    targets = pad_sentences(_sentences(dataset.target, rows), pad_id)
    inputs = targets.ids.roll(1, dims=1)
    inputs[:, 0] = bos_id
    # Shifting brings EOS in where a row is padded; the decoder reads padding there instead.
    ended = torch.arange(inputs.shape[1]) >= targets.lengths[:, None]
    return TrainingBatch(
        source=pad_sentences(_sentences(dataset.source, rows), pad_id),
        inputs=inputs.masked_fill(ended, pad_id),
        targets=targets.ids,
        target_lengths=targets.lengths,
        indices=tuple(rows.tolist()),
    )


def _sentences(side: TokenArray, rows: npt.NDArray[np.int64]) -> Sequence[list[int]]:
    return [side[row].tolist() for row in rows.tolist()]


def _cut(
    order: npt.NDArray[np.int64], lengths: npt.NDArray[np.integer[Any]], budget: int
) -> list[npt.NDArray[np.int64]]:
    """Cut `order` into runs as long as rows × longest stays within `budget`."""
    batches = []
    begin = 0
    longest = 0
    for end, length in enumerate(lengths[order].tolist()):
        longest = max(longest, length)
        if begin < end and (end - begin + 1) * longest > budget:
            batches.append(order[begin:end])
            begin, longest = end, length
    if begin < len(order):
        batches.append(order[begin:])
    return batches
