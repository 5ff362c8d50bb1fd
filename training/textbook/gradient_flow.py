"""How much of a loss arrives at a recurrent state, by its distance from where the loss is taken.

Backpropagation through time multiplies one Jacobian a step (Pascanu et al. 2013, section 2); the
norms here are of its products as they occur in a real network on real sentences.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from model.cell import RecurrentCell
from model.seq2seq import Seq2Seq
from training.batches import TrainingBatch

Place = Literal["encoder", "decoder"]
FAINT = 1e-30
"""Relative norms below are near the end of what float32 holds, and no longer a measurement."""


@dataclass(frozen=True, slots=True)
class Flow:
    """‖∂loss/∂h_t‖ over the distance d between t and the end of the sentence."""

    place: Place
    relative: list[float]
    """At index d, the norm relative to that of distance 0: the median over the sentences."""

    @property
    def factor(self) -> float:
        """What one step multiplies the norm by: geometric mean as far as the norm exceeds FAINT."""
        reached = [distance for distance, norm in enumerate(self.relative) if norm > FAINT]
        distance = max(reached, default=0)
        return float(self.relative[distance] ** (1 / distance)) if distance else 0.0


def encoder_flow(model: Seq2Seq, batch: TrainingBatch, *, backward: bool = False) -> Flow:
    """From the loss of the whole target to the states of one direction of the encoder.

    The backward one ends at the first token: its distance 0 is there.
    """
    encoder = model.encoder
    cell = encoder.backward_cell if backward else encoder.forward_cell
    norms = state_gradients(model, cell, batch, last_only=False)
    return Flow("encoder", by_distance(norms, batch.source.lengths))


def decoder_flow(model: Seq2Seq, batch: TrainingBatch) -> Flow:
    """From the loss of the last target token to the decoder's states: along the recurrence alone.

    No later token has a loss here, so attention offers no other way back.
    """
    cell = model.decoder.context_cell or model.decoder.cell
    norms = state_gradients(model, cell, batch, last_only=True)
    return Flow("decoder", by_distance(norms, batch.target_lengths))


def state_gradients(
    model: Seq2Seq, cell: RecurrentCell, batch: TrainingBatch, *, last_only: bool
) -> Float[Tensor, "B P"]:
    """Norms of ∂loss/∂h_t for all P steps of one cell, each sentence with the loss of its own.

    `last_only` takes the loss of the last target token (EOS) instead of that of all. A state is
    everything the cell hands on, so an LSTM's is [h; c]. Dropout is off.
    """
    training = model.training
    model.eval()
    with torch.enable_grad(), recorded_states(cell) as states:
        forced = model(batch.source.ids, batch.source.lengths, batch.inputs)
        positions = torch.arange(batch.targets.shape[1], device=batch.targets.device)
        last = batch.target_lengths[:, None] - 1
        counted = positions == last if last_only else positions <= last
        losses = cross_entropy(forced.logits.transpose(1, 2), batch.targets, reduction="none")
        gradients = torch.autograd.grad((losses * counted).sum(), states)
    model.train(training)
    return torch.stack([gradient.norm(dim=1) for gradient in gradients], dim=1)


@contextmanager
def recorded_states(cell: RecurrentCell) -> Iterator[list[Tensor]]:
    """Collects the state after every step that the cell makes inside the block."""
    states: list[Tensor] = []
    handle = cell.register_forward_hook(lambda _cell, _inputs, state: states.append(state))
    try:
        yield states
    finally:
        handle.remove()


def by_distance(norms: Float[Tensor, "B P"], lengths: Int[Tensor, " B"]) -> list[float]:
    """Medians over the sentences, relative to the last state, as far as the shortest reaches."""
    distances = torch.arange(int(lengths.min()), device=norms.device)
    aligned = norms.gather(1, lengths[:, None] - 1 - distances)
    smallest = torch.finfo(aligned.dtype).tiny
    relative = aligned / aligned[:, :1].clamp_min(smallest)
    medians: list[float] = relative.median(dim=0).values.tolist()
    return medians
