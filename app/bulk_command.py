"""`python -m app translate --input FILE --output FILE`, and the same for folders with `--ray`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from pydantic import ValidationError

from app.bulk.cluster import ClusterError, Work, parts_of, translate_parts
from app.bulk.forms import BULK_FORMS
from app.bulk.progress import show_progress
from app.bulk.run import Account, BulkError, BulkTask, run
from app.bulk.translation import LineTranslator
from app.catalog import fast_network
from app.errors import ServiceError
from app.models import LoadedModel, LoadedModels, StartupError, find_checkpoints
from app.schemas import AlignmentRequest
from app.settings import Settings
from app.terminal import CANNOT_START, SOME_LINES_FAILED, WRONG_INPUT, fail, start_models
from model.alignment import AlignmentKind
from model.hypothesis import SearchOptions


def translate_file(
    settings: Settings,
    models: LoadedModels,
    *,
    input: Path,
    output: Path | None,
    languages: tuple[str | None, str | None],
    model: str | None,
    beam: int,
    form: str | None,
    kind: AlignmentKind,
    threshold: float | None,
    window_lines: int,
) -> int:
    """Translate `input` to `output`; gives the exit code."""
    if output is None:
        fail("--input needs --output: a file that the run can go on with", WRONG_INPUT)
    name = form or output.suffix.removeprefix(".")
    if name not in BULK_FORMS:
        fail(f"a file is written as {', '.join(BULK_FORMS)}: name one with --format", WRONG_INPUT)
    if beam > settings.max_beam_size:
        fail(f"--beam may be {settings.max_beam_size} at the most", WRONG_INPUT)
    try:
        alignment = AlignmentRequest(kind=kind, form="links", threshold=threshold)
        chosen = models.choose(model, *languages)
    except ValidationError:
        fail("--threshold must be above 0 and at most 1", WRONG_INPUT)
    except ServiceError as error:
        fail(error.detail, WRONG_INPUT)
    if kind not in chosen.alignment_kinds and (kind == "head" or name == "pharaoh"):
        fail(f"this model has no alignments of the kind {kind}", WRONG_INPUT)
    # By default all cores: nobody waits for an answer meanwhile, as callers of the service do.
    if settings.threads and "threads" in settings.model_fields_set:
        torch.set_num_threads(settings.threads)
    translator = LineTranslator(
        chosen, fast_network(chosen), settings, SearchOptions(beam_size=beam), kind
    )
    with show_progress() as progress:
        task = BulkTask(
            input=input,
            output=output,
            name=_task_name(
                chosen, settings, f"beam {beam}", name, kind, f"threshold {threshold}", window_lines
            ),
            translate=lambda lines: translator.translate(lines, progress.advance),
            write=lambda done: BULK_FORMS[name](done, chosen, alignment),
            max_characters=settings.max_text_characters,
            window_lines=window_lines,
        )
        try:
            account = run(task, progress.start)
        except BulkError as error:
            fail(str(error), WRONG_INPUT)
    typer.echo(describe(account), err=True)
    # Empty lines are nothing special in a file, and have an empty line in the output.
    return SOME_LINES_FAILED if account.problems.keys() - {"empty_text"} else 0


def translate_folder(
    settings: Settings,
    *,
    input: Path,
    output: Path | None,
    form: str | None,
    workers: int,
    **options: Any,  # noqa: ANN401 - those of `translate_file`
) -> int:
    """Translate every file of `input` into `output`, side by side; gives the worst exit code.

    Workers have these settings, wherever they are, and not those of their own environment.
    """
    name = form or "tsv"
    if output is None or name not in BULK_FORMS:
        fail(f"--ray needs a folder as --output; forms are {', '.join(BULK_FORMS)}", WRONG_INPUT)
    try:
        find_checkpoints(settings.checkpoints)
        parts = parts_of(input, output, name)
        work = Work(partial(_begin, _without_secrets(settings), {**options, "form": name}))
        codes = translate_parts(parts, work, workers)
    except StartupError as error:
        fail(str(error), CANNOT_START)
    except ClusterError as error:
        fail(str(error), WRONG_INPUT)
    done = codes[0] + codes[SOME_LINES_FAILED]
    typer.echo(f"{len(parts)} parts were left: {done} translated, by exit code {dict(codes)}")
    return WRONG_INPUT if done < len(parts) else max(codes, default=0)


def _without_secrets(settings: Settings) -> Settings:
    """What workers need to know, the checkpoints by a path that is good in any folder."""
    checkpoints = settings.checkpoints.resolve()
    return settings.model_copy(
        update={"checkpoints": checkpoints, "database_url": None, "redis_url": None}
    )


def _begin(settings: Settings, options: dict[str, Any]) -> Callable[[Path, Path], int]:
    """What a worker does first, where it works."""
    models = start_models(settings)

    def translate(input: Path, output: Path) -> int:
        try:
            return translate_file(settings, models, input=input, output=output, **options)
        except typer.Exit as ended:  # the other parts go on
            return ended.exit_code

    return translate


def _task_name(model: LoadedModel, settings: Settings, *options: object) -> str:
    """All that the output depends on beside the input."""
    limits = (
        settings.max_text_characters,
        settings.max_text_tokens,
        settings.max_sentence_tokens,
        settings.max_output_tokens,
        settings.max_rows,
    )
    described = [model.identity, *options, "limits", *limits]
    return " ".join(map(str, described))


def describe(account: Account) -> str:
    """What became of all lines, in one line and one more for each problem."""
    told = [f"{account.lines} lines: {account.translated} translated"]
    for problem, trouble in sorted(account.problems.items()):
        shown = ", ".join(map(str, trouble.first))
        more = ", …" if trouble.count > len(trouble.first) else ""
        told.append(f"{trouble.count} {problem}: lines {shown}{more}")
    return "\n".join(told)
