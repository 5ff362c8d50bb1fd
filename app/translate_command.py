"""`python -m app translate`: one text here and now, or a whole file."""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from app.bulk.forms import BULK_FORMS
from app.bulk.run import WINDOW_LINES
from app.bulk_command import translate_file, translate_folder
from app.errors import ServiceError
from app.formats.aligned import AlignedText, FormatOptions
from app.formats.table import FORMATS, choose_format, write
from app.schemas import AlignmentRequest, DecodingRequest, TranslateRequest
from app.service import Service
from app.terminal import (
    HEAT_MAP,
    WRONG_INPUT,
    CheckpointsOption,
    KindOption,
    LevelOption,
    OutputOption,
    ThemeOption,
    ThresholdOption,
    fail,
    put_out,
    readable,
    start,
    text_or_input,
    what_is_wrong,
)
from model.hypothesis import SearchOptions

TRANSLATION_FORMS = (HEAT_MAP, "text", "json")
"""What shows the translation itself; every other form is one of its alignment."""


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
        int, typer.Option(min=1, max=65_536, help="Lines of --input saved at once.")
    ] = WINDOW_LINES,
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
    if input is not None:
        if text is not None:
            fail("give a text or --input, not both", WRONG_INPUT)
        if level != "word" or theme != "light":
            fail("--level and --theme are for a text; --input gives links of words", WRONG_INPUT)
        translate_all = (
            partial(translate_file, *start(checkpoints))
            if ray is None
            else partial(translate_folder, checkpoints, workers=ray)
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
            window_lines=window,
        )
        raise typer.Exit(code)
    if ray is not None:
        fail("--ray needs --input: a folder with a file a part", WRONG_INPUT)
    asked = format or (output.suffix.removeprefix(".") if output else "") or HEAT_MAP
    settings, models = start(checkpoints)
    try:
        form = None if asked in TRANSLATION_FORMS else choose_format(asked, None)
        alignment = AlignmentRequest(kind=kind, level=level, threshold=threshold)
        fields: dict[str, object] = {
            "text": text_or_input(text),
            "source_lang": source,
            "target_lang": to,
            "model": model,
            "decoding": DecodingRequest(beam_size=beam),
        }
        # A model without attention refuses an alignment that is asked for, and only that.
        if form is not None or alignment != AlignmentRequest():
            fields["alignment"] = alignment
        request = TranslateRequest.model_validate(fields)
        service = Service(settings, models)
        if asked == "json":
            written = asyncio.run(_answer(service, request))
        else:
            aligned = asyncio.run(_aligned(service, request))
            options = FormatOptions(alignment=alignment, theme=theme)
            written = (
                readable(aligned, asked, to_terminal=output is None)
                if form is None
                else write(aligned, form, options, settings.max_matrix_cells)
            )
    except ValidationError as error:
        fail(what_is_wrong(error), WRONG_INPUT)
    except ServiceError as error:
        fail(error.detail, WRONG_INPUT)
    put_out(written, output, is_binary=form is not None and form.is_binary)


async def _answer(service: Service, request: TranslateRequest) -> bytes:
    service.start()
    try:
        return (await service.translate(request)).content.encode() + b"\n"
    finally:
        await service.stop()


async def _aligned(service: Service, request: TranslateRequest) -> AlignedText:
    service.start()
    try:
        [aligned] = await service.align(request)
        return aligned
    finally:
        await service.stop()
