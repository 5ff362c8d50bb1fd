"""Trains an alignment head on a finished translator, which stays as it is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from model.alignment_head import AlignmentHead, head_weights, read_along
from model.checkpoint import Checkpoint, CheckpointError, add_alignment_head, load_checkpoint
from model.manifest import CARD_FILE
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from training.alignment_metrics import alignment_metrics
from training.batches import BatchPlan, TrainingBatch, collate
from training.calibration import Calibration
from training.card import with_alignments
from training.config import HeadTrainingConfig, TrainerConfig, TrainingConfig
from training.gold import read_gold
from training.joining import Examples, join
from training.precision import Placement, place
from training.prepare import Prepared
from training.schedule import learning_rate
from training.silver import SilverLinks

WARM_UP_SHARE = 20
"""One update in so many is spent on warm-up."""
CLIP_NORM = 1.0
HELD_OUT_AT_MOST = 10
"""At most one pair in so many is held out, whatever the configuration asks for."""
REPORTS = 10
"""Lines about the loss that a run leaves behind."""
SIDES = ("source", "target")
SMALLEST = 1e-9
"""Weight below which the loss of a row no longer grows."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a head was measured at on links that it was not trained on."""

    loss: float
    """Cross-entropy of a target piece against its silver links, in nats."""
    threshold: float
    """The one at which links between words agree best with the silver ones."""
    aer: float
    """Error of these links against the silver ones, in percent."""


def train_head(
    config: TrainingConfig,
    prepared: Prepared,
    silver: SilverLinks,
    folder: Path,
    console: Console,
    *,
    keep_of: Path | None = None,
) -> dict[str, Any]:
    """Train a head on the checkpoint in `folder`, write it there, and return its metrics.

    With `keep_of`, a folder too, the head of the checkpoint there is taken as it is, and only gets
    a new refinement.

    The checkpoint is written at the end and only then: a run that is stopped leaves it as it was.
    Raises GoldError, or CheckpointError, also for a network without attention, and where another
    checkpoint has taken the place of this one meanwhile.
    """
    gold = {
        path: read_gold(path, reverse=config.data.reverse) for path in config.validation.gold_align
    }
    checkpoint = load_checkpoint(folder)
    check_fits(checkpoint, prepared, folder)
    kept = None if keep_of is None else kept_head(keep_of, checkpoint, config.head)
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    placement = place(config.training.device, config.training.precision)
    checkpoint.model.to(placement.device)
    trainer = HeadTrainer(config.head, checkpoint.model, prepared, silver, placement, kept)
    trainer.train(console)
    held_out = trainer.measure()
    console.print(
        f"Held-out links: loss {held_out.loss:.3f}, AER {held_out.aer:.1f} "
        f"at the threshold {held_out.threshold}"
    )
    metrics: dict[str, Any] = {"head_loss": held_out.loss, "head_silver_aer": held_out.aer}
    if gold:
        scores = alignment_metrics(checkpoint, gold, trainer.head, held_out.threshold)
        metrics["alignment"] = scores
        for kind, of_kind in scores.items():
            console.print(
                f"{kind}: AER {of_kind['aer']:.1f}, fits best at shift {of_kind['shift']}"
            )
    card = with_alignments((folder / CARD_FILE).read_text(encoding="utf-8"), metrics)
    add_alignment_head(
        folder,
        trainer.head,
        threshold=held_out.threshold,
        metrics=metrics,
        card=card,
        digest=checkpoint.digest,
    )
    return metrics


def check_fits(checkpoint: Checkpoint, prepared: Prepared, folder: Path) -> None:
    """CheckpointError unless a head can be trained on `checkpoint` with this corpus."""
    if checkpoint.manifest.config.attention == "none":
        raise CheckpointError(
            f'{folder}: attention is "none", so there is nothing a head could choose among'
        )
    own = checkpoint.source_tokenizer.serialized, checkpoint.target_tokenizer.serialized
    if own != (prepared.source_spm, prepared.target_spm):
        raise CheckpointError(
            f"{folder}: its tokenizers are not those of {prepared.folder}; "
            "a head is trained on the corpus that its translator was trained on"
        )


def kept_head(folder: Path, checkpoint: Checkpoint, config: HeadTrainingConfig) -> AlignmentHead:
    """The head of the checkpoint in `folder`, to be refined for `checkpoint`.

    Raises CheckpointError where there is none, its network has other sizes, or there is nothing to
    train.
    """
    other = load_checkpoint(folder)
    if other.alignment_head is None:
        raise CheckpointError(
            f"{folder}: has no alignment head to keep; leave --keep out to train one"
        )
    if not config.refinement_channels:
        raise CheckpointError(
            f"{folder}: its head is to be kept, and head.refinement_channels is 0, so there is "
            "nothing to train; give it channels, or leave --keep out"
        )
    sizes, own = (replace(one.manifest.config, dropout=0.0) for one in (other, checkpoint))
    if sizes != own:
        raise CheckpointError(
            f"{folder}: its head cannot be kept, since its network has other sizes; "
            "leave --keep-of out to train one"
        )
    return other.alignment_head


class HeadTrainer:
    """A new head, trained with cross-entropy against silver links."""

    def __init__(
        self,
        config: HeadTrainingConfig,
        model: Seq2Seq,
        prepared: Prepared,
        silver: SilverLinks,
        placement: Placement,
        kept: AlignmentHead | None = None,
    ) -> None:
        self._config = config
        self._model = model.eval()
        self._prepared = prepared
        self._dataset = prepared.train
        self._silver = silver
        self._placement = placement
        torch.manual_seed(config.seed)
        self._is_new = kept is None
        self.head = (kept or AlignmentHead(model.config, config.units)).to(placement.device)
        self._dropout = nn.Dropout(config.dropout)
        every = max(len(silver) // config.held_out, min(len(silver), HELD_OUT_AT_MOST), 2)
        self._held_out = np.arange(len(silver)) % every == every - 1

    def train(self, console: Console) -> None:
        """Make all updates, with a bar, and a line for every tenth of them.

        First the head, then its refinement: a head that was trained on along with it had more
        errors than one that was left alone (docs/training.md, "What moved these figures").
        """
        config, batches = self._config, self._batches()
        if self._is_new:
            self._train(self.head, "the head", config.max_steps, batches, console)
        if config.refinement_channels:
            self.head.requires_grad_(requires_grad=False)
            refinement = self.head.refine(config.refinement_channels)
            steps = config.refinement_steps
            self._train(refinement, "its refinement", steps, batches, console)

    def _train(
        self,
        part: nn.Module,
        name: str,
        steps: int,
        batches: Iterator["_Examples"],
        console: Console,
    ) -> None:
        config, recent = self._config, Average()
        schedule = TrainerConfig(
            learning_rate=config.learning_rate,
            warmup_steps=steps // WARM_UP_SHARE,
            decay="cosine",
        )
        optimizer = torch.optim.AdamW(
            part.parameters(), weight_decay=config.weight_decay, betas=(0.9, 0.98)
        )
        self.head.train()
        with _bar(console) as progress:
            task = progress.add_task(f"Training {name}", total=steps)
            for step, examples in zip(range(steps), batches, strict=False):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, steps, schedule)
                recent.add(self._update(part, optimizer, examples))
                progress.update(task, advance=1)
                if (step + 1) % max(1, steps // REPORTS) == 0:
                    console.print(f"{name}, step {step + 1:,}  loss {recent.take():.3f}")
        self.head.eval()

    @torch.no_grad()
    def measure(self) -> HeldOut:
        """Loss, threshold and error on the pairs that were kept back."""
        self.head.eval()
        mean = Average()
        prepared = self._prepared
        calibration = Calibration(Tokenizer(prepared.source_spm), Tokenizer(prepared.target_spm))
        kept = np.flatnonzero(self._held_out)
        sources, targets = (_lines(prepared, side, self._held_out) for side in SIDES)
        order = kept[np.argsort(self._dataset.target.lengths[kept], kind="stable")]
        for rows in np.array_split(order, max(1, len(order) // 32)):
            examples = self._examples(Examples.single(rows))
            batch = examples.batch
            weights = self._weights(batch)
            losses = _losses(weights, examples.wanted)
            mean.add(float(losses.sum()), int(batch.target_lengths.sum()))
            for row, pair in enumerate(rows.tolist()):
                length, width = int(batch.target_lengths[row]), int(batch.source.lengths[row])
                calibration.add(
                    sources[pair],
                    targets[pair],
                    weights[row, :length, :width].cpu(),
                    map(tuple, self._silver[pair].tolist()),
                )
        threshold, error = calibration.best()
        return HeldOut(mean.take(), threshold, 100 * error)

    def _update(
        self, part: nn.Module, optimizer: torch.optim.Optimizer, examples: "_Examples"
    ) -> float:
        losses = _losses(self._weights(examples.batch), examples.wanted)
        loss = losses.sum() / examples.batch.target_lengths.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(part.parameters(), CLIP_NORM)
        optimizer.step()
        return float(loss.detach())

    def _weights(self, batch: TrainingBatch) -> Float[Tensor, "B T S"]:
        dropout = self._dropout if self.head.training else None
        with self._placement.autocast():
            reading = read_along(self._model, batch.source, batch.inputs)
            return head_weights(
                self._model, self.head, reading, batch.source.ids, batch.targets, dropout
            )

    def _examples(self, examples: Examples) -> "_Examples":
        """A batch, one row for each example."""
        config = self._model.config
        rows = np.arange(len(examples))
        batch = collate(
            join(self._dataset, examples), rows, pad_id=config.pad_id, bos_id=config.bos_id
        )
        wanted = self._silver.joined(self._dataset, examples).targets(
            batch.indices, batch.source.lengths.tolist(), batch.target_lengths.tolist()
        )
        device = self._placement.device
        return _Examples(batch.to(device), wanted.to(device))

    def _batches(self) -> Iterator["_Examples"]:
        """Batches without end, of examples that hold none of the pairs that are held out."""
        config = self._config
        plan = BatchPlan(
            dataset=self._dataset,
            max_batch_tokens=config.max_batch_tokens,
            seed=config.seed,
            pad_id=self._model.config.pad_id,
            bos_id=self._model.config.bos_id,
            joined_share=config.joined_share,
            joined_pieces=config.joined_pieces,
            pairs=np.flatnonzero(~self._held_out),
        )
        for number in count():
            epoch = plan.epoch(number)
            for batch in range(len(epoch)):
                yield self._examples(epoch[batch])


@dataclass(frozen=True, slots=True)
class _Examples:
    """Pairs to learn from, and what their rows should be."""

    batch: TrainingBatch
    wanted: Float[Tensor, "B T S"]


class Average:
    """A mean that is taken now and then."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, value: float, count: int = 1) -> None:
        """Count `value`, the sum of `count` items, in."""
        self._sum += value
        self._count += count

    def take(self) -> float:
        """The mean since the last time."""
        mean = self._sum / max(1, self._count)
        self._sum, self._count = 0.0, 0
        return mean


def _losses(
    weights: Float[Tensor, "B T S"], wanted: Float[Tensor, "B T S"]
) -> Float[Tensor, "B T"]:
    """Cross-entropy of each row, in nats; zero on padding, where nothing is wanted."""
    return -(wanted * weights.clamp(min=SMALLEST).log()).sum(dim=2)


def _lines(prepared: Prepared, side: str, wanted: npt.NDArray[np.bool_]) -> dict[int, str]:
    """The texts of the wanted training pairs, by their number."""
    path = prepared.folder / f"train.{side}.txt"
    with path.open(encoding="utf-8", newline="\n") as file:
        return {
            number: line.removesuffix("\n") for number, line in enumerate(file) if wanted[number]
        }


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
