"""How a search asks a network for its alignment head, where it has one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.fast_alignment_head import FastAlignmentHead


@runtime_checkable
class HeadedModel(Protocol):
    """A network that may have an alignment head; with one, `encode` gives an `AnnotatedMemory`."""

    head: FastAlignmentHead | None


@runtime_checkable
class AnnotatedMemory(Protocol):
    """A memory that still holds what the encoder gave."""

    @property
    def annotations(self) -> Sequence[Float[Tensor, "_ E"]] | None:
        """h_j of each sentence; None where no head will read them."""
        ...


def head_keys(
    model: object, memory: object, sentence: int, source: Int[Tensor, " S"]
) -> Float[Tensor, "S A"]:
    """What the head compares tokens with, of one sentence of a fresh memory.

    Raises ValueError if the network has no alignment head.
    """
    head = _head(model)
    assert isinstance(memory, AnnotatedMemory)
    assert memory.annotations is not None
    return head.keys(memory.annotations[sentence], source)


def look_back(
    model: object,
    states: Float[Tensor, "T Z"],
    tokens: Sequence[int],
    keys: Float[Tensor, "S A"],
    attention: Float[Tensor, "T S"],
    *,
    is_whole: bool,
) -> Float[Tensor, "T S"]:
    """The head's weights of one hypothesis, from its `head_keys` and what each step left behind.

    Of one that goes on, and so not `is_whole`, they are what they are before refinement.
    """
    chosen = torch.tensor(tokens, device=states.device)
    attention = attention.to(states.device)
    weights = _head(model).weights(states, chosen, keys, attention, is_whole=is_whole)
    return weights.cpu()


def _head(model: object) -> FastAlignmentHead:
    if not isinstance(model, HeadedModel) or model.head is None:
        raise ValueError("head weights were asked for, and the network has no alignment head")
    return model.head
