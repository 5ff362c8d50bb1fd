"""Passes recorded as CUDA graphs, so that a GPU does not wait for Python between small kernels.

A decoder step is a dozen kernels of a few microseconds each, which Python cannot launch as fast
as a GPU finishes them. A graph is launched at once, but its shapes and addresses are fixed: batches
are padded to few shapes, one graph is recorded for each, and all read and write the same places.
What follows a pass (clipping, optimiser, moving average) is a few large kernels and stays outside,
so the learning rate may be a plain number.

Recording has been run on no GPU yet. So the first graph is held against the passes that it
replaces, and where it differs, or where recording fails, training goes on without.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from model.batch import SentenceBatch
from training.batches import BatchPlan, TrainingBatch
from training.passes import Totals

MULTIPLE = 8
"""Both sides of a batch are padded to multiples of it."""
MOST_GRAPHS = 256
"""Shapes that get a graph; each keeps thousands of nodes on the device."""
DIFFERENCE = 0.02
"""Most by which gradients of a graph may differ from those without, over their norm; products in
bfloat16 are not summed in the same order twice."""

Pass = Callable[[TrainingBatch], Totals]
Replay = Callable[[], None]
Record = Callable[[Callable[[], None]], Replay]
"""Runs some work once and returns what runs it again, on whatever then stands in its tensors."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a padded batch."""

    rows: int
    source: int
    target: int

    @classmethod
    def of(cls, rows: int, source: int, target: int, budget: int) -> "Shape":
        """The shape that holds these rows and positions.

        Sides are rounded up, and rows are all for which `budget` tokens have room, so that batches
        of about the same lengths share a shape.
        """
        source, target = (-(-side // MULTIPLE) * MULTIPLE for side in (source, target))
        return cls(max(rows, budget // max(source, target)), source, target)

    @property
    def size(self) -> int:
        """What memory grows with: energies of all target over all source positions."""
        return self.rows * self.target * (self.source + 1)


class CapturedPasses:
    """In place of `Passes`: adds the same gradients, from recorded graphs.

    Gradients stay where they are from the first pass on: they may be set to zero, but not to None.
    """

    def __init__(
        self,
        passes: Pass,
        model: nn.Module,
        plan: BatchPlan,
        device: torch.device,
        record: Record,
        say: Callable[[str], object],
    ) -> None:
        self._passes = passes
        self._model = model
        self._plan = plan
        self._device = device
        self._record = record
        self._say = say
        self._graphs: dict[Shape, _Graph] = {}
        self._gradients: list[Tensor] = []
        self._trusted: bool | None = None

    def __call__(self, batch: TrainingBatch) -> Totals:
        """Totals of the batch; adds the gradient of its mean loss."""
        shape = shape_of(batch, self._plan.max_batch_tokens)
        padded = padded_to(batch, shape, pad_id=self._plan.pad_id)
        if self._trusted is None:
            self._begin(padded)
        graph = self._graph(padded, shape) if self._trusted else None
        return self._passes(padded) if graph is None else graph(padded)

    def _begin(self, padded: TrainingBatch) -> None:
        for parameter in self._model.parameters():
            parameter.grad = torch.zeros_like(parameter)
            self._gradients.append(parameter.grad)
        try:
            self._trusted = self._agrees(padded)
            if not self._trusted:
                self._say("CUDA graphs give other gradients here: training goes on without")
        except RuntimeError as error:
            self._give_up(error)

    def _agrees(self, padded: TrainingBatch) -> bool:
        """Whether a graph gives what the passes give; with dropout neither would do so twice."""
        training = self._model.training
        self._model.eval()
        try:
            wanted = self._passes(padded)
            gradients = [gradient.clone() for gradient in self._gradients]
            # Recorded on another batch: one that has its batch baked in would agree with itself.
            graph = self._recorded(emptied(padded, pad_id=self._plan.pad_id))
            found = graph(padded)
        finally:
            self._model.train(training)
        off = nn.utils.get_total_norm(
            [one - other for one, other in zip(self._gradients, gradients, strict=True)]
        )
        self._clear()
        near = off <= DIFFERENCE * nn.utils.get_total_norm(gradients)
        return bool(near) and torch.allclose(found, wanted, rtol=DIFFERENCE)

    def _graph(self, padded: TrainingBatch, shape: Shape) -> "_Graph | None":
        if shape not in self._graphs:
            try:
                if not self._graphs:
                    # The largest first: the others then live in its memory.
                    largest = self._largest()
                    self._graphs[largest] = self._recorded(blank(largest, self._plan))
                if shape not in self._graphs and len(self._graphs) < MOST_GRAPHS:
                    self._graphs[shape] = self._recorded(padded)
            except RuntimeError as error:
                self._give_up(error)
        return self._graphs.get(shape)

    def _largest(self) -> Shape:
        return max(shapes(self._plan, epoch=0), key=lambda shape: shape.size)

    def _recorded(self, like: TrainingBatch) -> "_Graph":
        """A graph for batches of this shape; gradients are zero afterwards, even if it fails."""
        try:
            return _Graph(like.to(self._device), self._passes, self._record)
        finally:
            self._clear()

    def _clear(self) -> None:
        torch._foreach_zero_(self._gradients)

    def _give_up(self, error: Exception) -> None:
        reason = str(error).strip().split("\n")[0]
        self._say(f"CUDA graphs cannot be recorded here ({reason}): training goes on without")
        self._trusted = False
        self._graphs.clear()


class _Graph:
    """One recorded pass and the places it reads and writes."""

    def __init__(self, batch: TrainingBatch, passes: Pass, record: Record) -> None:
        self._batch = batch
        self._passes = passes
        self._totals = torch.zeros(2, dtype=torch.float64, device=batch.targets.device)
        self._replay = record(self._run)

    def __call__(self, batch: TrainingBatch) -> Totals:
        for place, value in zip(_tensors(self._batch), _tensors(batch), strict=True):
            place.copy_(value, non_blocking=True)
        self._replay()
        return self._totals

    def _run(self) -> None:
        self._totals.copy_(self._passes(self._batch))


class CudaGraphs:
    """Records on a GPU. All graphs share one pool of memory, since only one runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], None]) -> Replay:
        """Record `run`, whose dropout draws anew at every replay."""
        random = torch.cuda.get_rng_state(self._device)
        # Once beside the default stream, as torch asks for: workspaces and kernels are made now.
        beside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(beside):
            run()
        torch.cuda.current_stream(self._device).wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            run()
        torch.cuda.set_rng_state(random, self._device)
        return graph.replay


def shape_of(batch: TrainingBatch, budget: int) -> Shape:
    """The shape that a batch is padded to."""
    rows, target = batch.targets.shape
    return Shape.of(rows, batch.source.ids.shape[1], target, budget)


def shapes(plan: BatchPlan, epoch: int) -> Iterable[Shape]:
    """The shapes of all batches of an epoch."""
    batches = plan.epoch(epoch)
    sides = [
        batches.examples.lengths(side.lengths)
        for side in (plan.dataset.source, plan.dataset.target)
    ]
    for numbers in batches.numbers:
        source, target = (int(np.max(side[numbers])) for side in sides)
        yield Shape.of(len(numbers), source, target, plan.max_batch_tokens)


def padded_to(batch: TrainingBatch, shape: Shape, *, pad_id: int) -> TrainingBatch:
    """The batch with rows and positions added that change neither loss nor gradients.

    An added row has a source of one token, since attention needs one to look at, and no target.
    """

    def grown(ids: Tensor, positions: int) -> Tensor:
        return pad(ids, (0, positions - ids.shape[1], 0, shape.rows - len(ids)), value=pad_id)

    more = shape.rows - len(batch.targets)
    return replace(
        batch,
        source=SentenceBatch(
            grown(batch.source.ids, shape.source), pad(batch.source.lengths, (0, more), value=1)
        ),
        inputs=grown(batch.inputs, shape.target),
        targets=grown(batch.targets, shape.target),
        target_lengths=pad(batch.target_lengths, (0, more)),
    )


def emptied(batch: TrainingBatch, *, pad_id: int) -> TrainingBatch:
    """A batch of the same shape with nothing to learn from."""
    return replace(
        batch,
        source=SentenceBatch(
            torch.full_like(batch.source.ids, pad_id), torch.ones_like(batch.source.lengths)
        ),
        inputs=torch.full_like(batch.inputs, pad_id),
        targets=torch.full_like(batch.targets, pad_id),
        target_lengths=torch.zeros_like(batch.target_lengths),
    )


def blank(shape: Shape, plan: BatchPlan) -> TrainingBatch:
    """An empty batch of this shape."""
    row = torch.full((1, 1), plan.pad_id)
    one = TrainingBatch(
        SentenceBatch(row, torch.ones(1, dtype=torch.long)),
        row,
        row,
        torch.zeros(1, dtype=torch.long),
        (),
    )
    return padded_to(one, shape, pad_id=plan.pad_id)


def _tensors(batch: TrainingBatch) -> Sequence[Tensor]:
    return (batch.source.ids, batch.source.lengths, batch.inputs, batch.targets)
