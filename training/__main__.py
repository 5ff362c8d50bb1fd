"""The command line of the trainer: `python -m training prepare|train|evaluate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.config import ConfigError
from training.config_reader import read_config
from training.corpus import CorpusError
from training.prepare import prepare as prepare_corpus
from training.tokenizer_training import TokenizerTrainingError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)

ConfigFile = Annotated[Path, typer.Argument(help="TOML file of the run.", show_default=False)]
BAD_INPUT = 2
"""Exit status where the caller's files or settings are at fault."""
EXPECTED = (ConfigError, CorpusError, TokenizerTrainingError, OSError)


@cli.callback()
def commands() -> None:
    """Trains and evaluates attention translators."""


@cli.command()
def prepare(config: ConfigFile) -> None:
    """Clean the corpus, train the tokenizer(s), and write token ids into the run folder."""
    prepared = prepare_corpus(read_config(config), console)
    console.print(f"{len(prepared.train):,} training pairs in {prepared.folder}")


def main() -> None:
    """Run the command line; bad input ends with one line and status 2, never a traceback."""
    try:
        cli()
    except EXPECTED as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        raise SystemExit(BAD_INPUT) from error


if __name__ == "__main__":
    main()
