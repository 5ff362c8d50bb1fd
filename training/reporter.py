"""What a person sees of a run: a progress bar, lines that stay, and TensorBoard."""

import math
import unicodedata
from collections import deque
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from training.gold import whose_row
from training.trainer import Position, Update
from training.validation import Validation

WINDOW = 50
"""Updates over which rates and losses are averaged."""


class Reporter:
    """Shows updates and validations; use it in a `with` block."""

    def __init__(self, console: Console, folder: Path, total_steps: int) -> None:
        self._console = console
        self._recent: deque[Update] = deque(maxlen=WINDOW)
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._total = total_steps
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total_steps, figures="")

    def __enter__(self) -> "Reporter":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        self._writer.close()

    @property
    def tokens_per_second(self) -> float:
        """Target tokens learned from in a second, over the last updates."""
        seconds = sum(update.seconds for update in self._recent)
        return sum(update.tokens for update in self._recent) / seconds if seconds else 0.0

    def update(self, position: Position, update: Update) -> None:
        """Move the bar; every fiftieth update also a line (without a terminal) and the log."""
        self._recent.append(update)
        figures = self._figures(position)
        self._bar.update(self._task, completed=position.step, figures=figures)
        if position.step % WINDOW:
            return
        if not self._console.is_terminal:
            self._console.print(f"step {position.step:,} of {self._total:,}: {figures}")
        self._log(position, update)

    def _figures(self, position: Position) -> str:
        tokens = sum(update.tokens for update in self._recent)
        loss = sum(update.loss * update.tokens for update in self._recent) / tokens
        clipped = position.clipped / position.step
        return (
            f"loss {loss:.3f} · norm {self._recent[-1].gradient_norm:.2f} · "
            f"{clipped:.0%} clipped · {self.tokens_per_second:,.0f} tokens/s"
        )

    def _log(self, position: Position, update: Update) -> None:
        for name, value in {
            "train/loss": update.loss,
            "train/gradient_norm": update.gradient_norm,
            "train/learning_rate": update.learning_rate,
            "train/clipped_share": position.clipped / position.step,
            "train/skipped": position.skipped,
            "train/tokens_per_second": self.tokens_per_second,
        }.items():
            if math.isfinite(value):
                self._writer.add_scalar(name, value, position.step)

    def validation(self, position: Position, validation: Validation, *, best: bool) -> None:
        """Print and log the figures of one validation and its samples."""
        scores = validation.scores
        self._console.print(
            f"[bold]step {position.step:,}, epoch {position.epoch}[/bold]: "
            f"validation loss {validation.loss:.4f} · perplexity {validation.perplexity:.2f} · "
            f"BLEU {scores.bleu:.2f} · chrF {scores.chrf:.2f}"
            + (" · [green]best so far, checkpoint written[/green]" if best else "")
            + ("" if math.isfinite(validation.loss) else " · [red]not finite, not kept[/red]")
        )
        self._console.print(f"  {scores.signature}", style="dim", highlight=False)
        self._alignment(position, validation)
        for sample in validation.samples:
            for mark, text in (
                ("source", sample.source),
                ("reference", sample.reference),
                ("model", sample.translation),
            ):
                shown = escape(visible(text))
                self._console.print(f"  {mark:>9}  {shown}", highlight=False)
        for name, value in {
            "validation/loss": validation.loss,
            "validation/bleu": scores.bleu,
            "validation/chrf": scores.chrf,
        }.items():
            self._writer.add_scalar(name, value, position.step)

    def _alignment(self, position: Position, validation: Validation) -> None:
        if validation.alignment is None:
            return
        row, scores = validation.alignment, validation.alignment.scores
        threshold = "" if row.threshold is None else f" at {row.threshold}"
        self._console.print(
            f"  AER {100 * scores.aer:.1f} ({row.rule}{threshold}) · precision "
            f"{100 * scores.precision:.1f} · recall {100 * scores.recall:.1f}"
        )
        if validation.alignment_shift != 0:
            self._console.print(
                "  [bold red]Attention fits better when each token has the row of "
                f"{whose_row(validation.alignment_shift)}[/bold red]: not learned yet, or out of "
                "step with the tokens"
            )
        self._writer.add_scalar("validation/aer", 100 * scores.aer, position.step)


def visible(text: str) -> str:
    """`text` with control characters escaped: an untrained model writes any bytes."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Zl", "Zp")
        else character
        for character in text
    )
