"""The command line of the trainer: `python -m training COMMAND`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from model.checkpoint import CheckpointError, load_checkpoint
from model.hypothesis import SearchOptions
from training.aligner import AlignerError
from training.checkpoint_average import average_checkpoints
from training.cleaning import drop_empty
from training.cleaning_report import CleaningReport
from training.config import ConfigError, OnBadLine
from training.config_reader import read_config
from training.corpus import CorpusError, read_pairs
from training.download.commands import download
from training.download.transfer import DownloadError
from training.evaluation import evaluate as evaluate_checkpoint
from training.evaluation_report import print_evaluation
from training.gold import GoldError
from training.head import check_fits, kept_head, train_head
from training.interruption import (
    INTERRUPTED,
    Interrupted,
    RunLockedError,
    work_to_abandon,
)
from training.precision import place
from training.prepare import prepare as prepare_corpus
from training.ranks import RankError, ending_at_once, is_first
from training.recording import record
from training.resume import ResumeError
from training.run import train as train_run
from training.silver import align as make_links
from training.textbook import commands as textbook
from training.tokenizer_training import TokenizerTrainingError
from training.trainer import TrainingError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)

_SEARCH = SearchOptions()

ConfigFile = Annotated[Path, typer.Argument(help="TOML file of the run.", show_default=False)]
BAD_INPUT = 2
"""Exit status where the caller's files or settings are at fault."""
STATUS: dict[type[Exception], int] = {
    TrainingError: 3,
    ResumeError: 4,
    RunLockedError: 5,
    DownloadError: 6,
    RankError: 7,
}
"""Exit status of failures that are not the caller's files or settings."""
EXPECTED: tuple[type[Exception], ...] = (
    AlignerError,
    ConfigError,
    CorpusError,
    GoldError,
    TokenizerTrainingError,
    CheckpointError,
    OSError,
    *STATUS,
)


@cli.callback()
def commands() -> None:
    """Trains and evaluates attention translators."""


@cli.command()
def prepare(config: ConfigFile) -> None:
    """Clean the corpus, train the tokenizer(s), and write token ids into the run folder."""
    settings = read_config(config)
    with work_to_abandon(settings.run):
        prepared = prepare_corpus(settings, console)
    told = f"{len(prepared.train):,} training pairs in {prepared.folder}"
    console.print(told, soft_wrap=True, markup=False)


@cli.command()
def train(
    config: ConfigFile,
    allow_world_size_change: Annotated[
        bool,
        typer.Option(
            "--allow-world-size-change",
            help="Resume with another number of processes, though not bit for bit.",
        ),
    ] = False,
) -> None:
    """Train a translator; the same command resumes a run that was stopped.

    With `torchrun -m training train CONFIG`, on several GPUs or machines.
    """
    best = train_run(read_config(config), console, allow_world_size_change=allow_world_size_change)
    if best is None:
        raise typer.Exit(INTERRUPTED)
    if not is_first():
        return
    # In one piece each, however narrow the terminal is: a line to be copied.
    console.print(f"Best checkpoint: {best}", soft_wrap=True, markup=False)
    serve = f"Serve it: SOFTALIGN_CHECKPOINTS={best.parent} scripts/serve"
    console.print(serve, soft_wrap=True, markup=False)


@cli.command()
def align(config: ConfigFile) -> None:
    """Make silver links between the words of the prepared corpus, for the alignment head."""
    settings = read_config(config)
    with work_to_abandon(settings.run):
        make_links(settings, prepare_corpus(settings, console), console)


@cli.command()
def head(
    config: ConfigFile,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of the checkpoint; by default the run's own.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the head there is; train its refinement alone.")
    ] = False,
    keep_of: Annotated[
        Path | None,
        typer.Option(help="The same with the head of this checkpoint, which has like weights."),
    ] = None,
) -> None:
    """Train an alignment head on a finished checkpoint and put it in there."""
    settings = read_config(config)
    folder = checkpoint or settings.checkpoint_folder
    place(settings.training.device, settings.training.precision)  # else said after all the work
    with work_to_abandon(settings.run):
        prepared = prepare_corpus(settings, console)
        # Before minutes go into links:
        loaded = load_checkpoint(folder)
        check_fits(loaded, prepared, folder)
        kept = keep_of or (folder if keep else None)
        if kept is not None:
            kept_head(kept, loaded, settings.head)
        links = make_links(settings, prepared, console)
        train_head(settings, prepared, links, folder, console, keep_of=kept)
    console.print(f"Checkpoint with head: {folder}", soft_wrap=True, markup=False)


@cli.command()
def evaluate(
    config: Annotated[
        Path | None,
        typer.Argument(help="TOML file of a run, for whatever of the following is left out."),
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Folder of the checkpoint.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="TSV file: source, target and maybe origin.")
    ] = None,
    gold_align: Annotated[
        list[Path] | None, typer.Option(help="Folder of gold alignments; may be repeated.")
    ] = None,
    opposite: Annotated[
        Path | None,
        typer.Option(help="Checkpoint of the opposite direction, to align with both heads."),
    ] = None,
    beam: Annotated[int, typer.Option(min=1, help="Width of the beam; 1 is greedy.")] = 5,
    length_penalty: Annotated[
        float, typer.Option(min=0.0, help="0 favours short translations, 1 is the service's own.")
    ] = _SEARCH.length_penalty,
    coverage_penalty: Annotated[
        float, typer.Option(min=0.0, help="Cost of source words that are not attended to.")
    ] = _SEARCH.coverage_penalty,
    no_repeat_ngram_size: Annotated[
        int, typer.Option(min=0, help="Pieces of a run that does not come again; 0 lets it.")
    ] = _SEARCH.no_repeat_ngram_size,
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Swap the columns, and the sides of gold alignments.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on the last line.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write the translations here.")] = None,
    recorded: Annotated[
        bool, typer.Option("--record", help="Put the figures into the checkpoint and its card.")
    ] = False,
) -> None:
    """Score a checkpoint: BLEU, chrF, loss, and alignment error against gold links."""
    try:
        search = SearchOptions(
            beam_size=beam,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
            no_repeat_ngram_size=no_repeat_ngram_size,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    inputs = _inputs(config, checkpoint, pairs, gold_align or [], reverse)
    loaded = load_checkpoint(inputs.checkpoint)
    other = None if opposite is None else load_checkpoint(opposite)
    report = CleaningReport()
    read = read_pairs(inputs.pairs, report, reverse=inputs.reverse, on_bad_line=inputs.on_bad_line)
    kept = list(drop_empty(read, report))
    if not kept:
        raise CorpusError(f"{inputs.pairs[0]}: no pair with text on both sides")
    if torch.cuda.is_available():
        for one in filter(None, (loaded, other)):
            for network in filter(None, (one.model, one.alignment_head)):
                network.cuda()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        evaluation, translated = evaluate_checkpoint(
            loaded,
            kept,
            inputs.gold_align,
            search=search,
            progress=progress,
            reverse_gold=inputs.reverse,
            opposite=other,
        )
    if report.kept < report.read:
        console.print(report.table(str(inputs.pairs[0])))
    print_evaluation(evaluation, Console(width=None if console.is_terminal else 120))
    if as_json:
        print(json.dumps(evaluation.as_dict()))
    # Files are written last, so that a full disk costs no figure.
    if output is not None:
        lines = [item.translation.replace("\n", " ") + "\n" for item in translated]
        output.write_text("".join(lines), encoding="utf-8")
    if recorded:
        record(inputs.checkpoint, evaluation, inputs.pairs[0].name)


@cli.command()
def average(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of two checkpoints or more; one named twice counts twice.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="New folder.", show_default=False)],
) -> None:
    """Write the mean of the weights of checkpoints that began alike."""
    average_checkpoints(checkpoints, output)
    console.print(f"Wrote {output}", soft_wrap=True, markup=False)


cli.command()(download)
cli.command()(textbook.compare)
cli.command()(textbook.gradients)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What `evaluate` works on, once options and configuration are put together."""

    checkpoint: Path
    pairs: tuple[Path, ...]
    gold_align: Sequence[Path]
    reverse: bool
    on_bad_line: OnBadLine = "error"


def _inputs(
    config: Path | None,
    checkpoint: Path | None,
    pairs: Path | None,
    gold_align: Sequence[Path],
    reverse: bool,
) -> _Inputs:
    if config is not None:
        run = read_config(config)
        return _Inputs(
            checkpoint or run.checkpoint_folder,
            (pairs,) if pairs else run.data.validation,
            gold_align or run.validation.gold_align,
            reverse or run.data.reverse,
            run.data.on_bad_line,
        )
    if checkpoint is None or pairs is None:
        raise typer.BadParameter("give --checkpoint and --pairs, or the TOML file of a run")
    return _Inputs(checkpoint, (pairs,), gold_align, reverse)


def _status(error: Exception) -> int:
    """Exit status of a failure, by the first kind in the table that it is one of."""
    return next((STATUS[kind] for kind in STATUS if isinstance(error, kind)), BAD_INPUT)


def _told(error: Exception) -> str:
    """Its message; that of the system names the file first, as all others do."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def main() -> None:
    """Run the command line; bad input ends with one line and status 2, never a traceback."""
    with ending_at_once():
        _run()


def _run() -> None:
    try:
        cli()
    except Interrupted as stopped:
        console.print("Stopped; the same command begins this again.")
        raise SystemExit(INTERRUPTED) from stopped
    except EXPECTED as error:
        if is_first() or isinstance(error, RankError):
            told = escape(_told(error))
            console.print(f"[red]error:[/red] {told}", highlight=False, soft_wrap=True)
        raise SystemExit(_status(error)) from error


if __name__ == "__main__":
    main()
