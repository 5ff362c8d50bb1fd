"""Sentences of different lengths side by side in one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SentenceBatch:
    """Token ids padded on the right; lengths count the EOS that ends every sentence."""

    ids: Int[Tensor, "B L"]
    lengths: Int[Tensor, " B"]

    def to(self, device: torch.device) -> "SentenceBatch":
        """The same batch on another device."""
        return SentenceBatch(
            self.ids.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True)
        )


def pad_sentences(sentences: Sequence[Sequence[int]], pad_id: int) -> SentenceBatch:
    """Pad sentences, each already ended by EOS, to the longest of them.

    Raises ValueError if there is no sentence or one is empty: an empty row would leave
    attention nothing to look at, and its softmax would be NaN.
    """
    if not sentences:
        raise ValueError("a batch needs at least one sentence")
    lengths = [len(sentence) for sentence in sentences]
    if min(lengths) == 0:
        raise ValueError(f"sentence {lengths.index(0)} of the batch is empty; it must end in EOS")
    longest = max(lengths)
    padded = [list(sentence) + [pad_id] * (longest - len(sentence)) for sentence in sentences]
    return SentenceBatch(torch.tensor(padded), torch.tensor(lengths))


def length_mask(lengths: Int[Tensor, " B"], longest: int) -> Bool[Tensor, "B {longest}"]:
    """True where a token stands, False on padding."""
    positions = torch.arange(longest, device=lengths.device)
    return positions < lengths[:, None]
