"""The commands `compare` and `gradients` of `python -m training`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.cleaning import drop_empty
from training.cleaning_report import CleaningReport
from training.config_reader import read_config
from training.corpus import CorpusError, Pair, read_pairs
from training.interruption import INTERRUPTED
from training.textbook.comparison import Budget
from training.textbook.comparison import compare as compare_variants
from training.textbook.comparison_report import write_comparison
from training.textbook.gradients import gradients_of_checkpoint, gradients_of_config
from training.textbook.gradients_report import summary, write_gradients
from training.textbook.variants import read_variation

console = Console(stderr=True)


def compare(
    config: Annotated[Path, typer.Argument(help="TOML file of a run.", show_default=False)],
    vary: Annotated[
        list[str],
        typer.Option(
            help=r"A setting of \[model] or \[training] and its values: cell=rnn,gru. Repeat it to "
            "train every combination.",
            show_default=False,
        ),
    ],
    steps: Annotated[int | None, typer.Option(min=1, help="Updates of each variant.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Or: seconds of updates of each variant.")
    ] = None,
    loss: Annotated[
        float | None,
        typer.Option(help="Validation loss at which times are compared, in nats a token."),
    ] = None,
) -> None:
    """Train variants with an equal budget and compare them; the same command goes on."""
    budget = Budget(steps=steps, seconds=seconds)
    variations = [read_variation(text) for text in vary]
    run = read_config(config)
    comparison = compare_variants(run, variations, budget, console, loss)
    if comparison is None:
        raise typer.Exit(INTERRUPTED)
    report = write_comparison(comparison, run.run / "comparison")
    console.print(comparison.recommendation)
    console.print(f"Report: {report}", soft_wrap=True, markup=False)


def gradients(
    subject: Annotated[
        Path,
        typer.Argument(help="TOML file of a run, or folder of a checkpoint.", show_default=False),
    ],
    pairs: Annotated[Path | None, typer.Option(help="TSV file to measure a checkpoint on.")] = None,
    steps: Annotated[
        int, typer.Option(min=1, help="Updates of each cell between the two measurements.")
    ] = 300,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report; without it, beside the subject.")
    ] = None,
) -> None:
    """Measure how gradients travel: by distance, by singular values, with and without clipping."""
    if subject.is_dir():
        if pairs is None:
            raise typer.BadParameter("a checkpoint is measured on sentences: give --pairs")
        found = gradients_of_checkpoint(subject, read_sentences(pairs))
        folder = output or subject.with_name(subject.name + "-gradients")
    else:
        config = read_config(subject)
        found = gradients_of_config(config, steps, console)
        folder = output or config.run / "gradients"
    report = write_gradients(found, folder)
    console.print(summary(found))
    console.print(f"Report: {report}", soft_wrap=True, markup=False)


def read_sentences(path: Path) -> list[Pair]:
    """The pairs of a TSV file that have text on both sides; CorpusError if there is none."""
    report = CleaningReport()
    pairs = list(drop_empty(read_pairs((path,), report), report))
    if not pairs:
        raise CorpusError(f"{path}: no pair with text on both sides")
    return pairs
