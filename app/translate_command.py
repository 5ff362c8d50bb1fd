"""`python -m app translate`: one text here and now, or a whole file."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from app.bulk.forms import BULK_FORMS
from app.bulk.run import WINDOW_LINES
from app.bulk_command import translate_file, translate_folder
from app.formats.table import FORMATS
from app.terminal import (
    WRONG_INPUT,
    CheckpointsOption,
    KindOption,
    LevelOption,
    OutputOption,
    ThemeOption,
    ThresholdOption,
    fail,
    start,
    start_settings,
)
from app.text_command import translate_text
from model.hypothesis import SearchOptions


def translate(
    text: Annotated[
        str | None, typer.Argument(help="What to translate; by default standard input.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Language to translate into.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="Language of the text.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model.")] = None,
    beam: Annotated[
        int, typer.Option(min=1, help="Hypotheses followed at once.")
    ] = SearchOptions().beam_size,
    format: Annotated[
        str | None,
        typer.Option(
            help="heat-map (the translation with its alignment), text (alone), json (as the API "
            f"answers), or the alignment as {', '.join(one.name for one in FORMATS[1:])}."
        ),
    ] = None,
    output: OutputOption = None,
    kind: KindOption = "attention",
    level: LevelOption = "word",
    threshold: ThresholdOption = None,
    theme: ThemeOption = "light",
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            help="A file of any size, translated line by line to --output, which "
            f"is {', '.join(BULK_FORMS)}. Started again after a kill it goes on.",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_536,
            help="Lines of --input saved at once.",
            show_default=str(WINDOW_LINES),
        ),
    ] = None,
    ray: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="WORKERS", help="Translate the files of a folder with Ray, side by side."
        ),
    ] = None,
    checkpoints: CheckpointsOption = None,
) -> None:
    """Translate a text or a file here, without a server.

    Exit codes: 0 done, 1 cannot start, 2 the input cannot be used, 3 some lines of --input cannot.
    """
    logging.basicConfig(level=logging.ERROR)
    if input is None:
        if ray is not None:
            fail("--ray needs --input: a folder with a file a part", WRONG_INPUT)
        if window is not None:
            fail("--window needs --input: how many of its lines are saved at once", WRONG_INPUT)
        translate_text(
            checkpoints,
            text,
            output=output,
            languages=(source, to),
            model=model,
            beam=beam,
            form=format,
            kind=kind,
            level=level,
            threshold=threshold,
            theme=theme,
        )
        return
    if text is not None:
        fail("give a text or --input, not both", WRONG_INPUT)
    if level != "word" or theme != "light":
        fail("--level and --theme are for a text; --input gives links of words", WRONG_INPUT)
    translate_all = (
        partial(translate_file, *start(checkpoints))
        if ray is None
        else partial(translate_folder, start_settings(checkpoints), workers=ray)
    )
    code = translate_all(
        input=input,
        output=output,
        languages=(source, to),
        model=model,
        beam=beam,
        form=format,
        kind=kind,
        threshold=threshold,
        window_lines=WINDOW_LINES if window is None else window,
    )
    raise typer.Exit(code)
