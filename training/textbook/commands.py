"""The commands `compare` and `gradients` of `python -m training`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.config_reader import read_config
from training.interruption import INTERRUPTED
from training.textbook.comparison import Budget
from training.textbook.comparison import compare as compare_variants
from training.textbook.comparison_report import write_comparison
from training.textbook.variants import read_variation

console = Console(stderr=True)


def compare(
    config: Annotated[Path, typer.Argument(help="TOML file of a run.", show_default=False)],
    vary: Annotated[
        list[str],
        typer.Option(
            help="A setting of [model] or [training] and its values: cell=rnn,gru. Repeat it to "
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
    console.print(f"Report: {report}")
