"""`python -m app translate TEXT`: one text here and now, with its alignment in any form."""

import asyncio
from pathlib import Path

from pydantic import ValidationError

from app.errors import ServiceError
from app.formats.aligned import AlignedText, FormatOptions, Theme
from app.formats.table import Format, choose_format, write
from app.schemas import AlignmentRequest, DecodingRequest, TranslateRequest
from app.service import Service
from app.terminal import (
    HEAT_MAP,
    WRONG_INPUT,
    fail,
    put_out,
    readable,
    start,
    text_or_input,
    what_is_wrong,
)
from model.alignment import AlignmentKind, Level

JSON = "json"
TRANSLATION_FORMS = (HEAT_MAP, "text", JSON)
"""What shows the translation itself; every other form is one of its alignment."""


def translate_text(
    checkpoints: Path | None,
    text: str | None,
    *,
    output: Path | None,
    languages: tuple[str | None, str | None],
    model: str | None,
    beam: int,
    form: str | None,
    kind: AlignmentKind,
    level: Level,
    threshold: float | None,
    theme: Theme,
) -> None:
    """Translate `text`, by default standard input, and write it as `form` or `output` say."""
    asked = form or (output.suffix.removeprefix(".") if output else "") or HEAT_MAP
    settings, models = start(checkpoints)
    try:
        aligned_form = None if asked in TRANSLATION_FORMS else choose_format(asked, None)
        alignment = AlignmentRequest(kind=kind, level=level, threshold=threshold)
        fields: dict[str, object] = {
            "text": text_or_input(text),
            "source_lang": languages[0],
            "target_lang": languages[1],
            "model": model,
            "decoding": DecodingRequest(beam_size=beam),
        }
        # A model without attention refuses an alignment that is asked for, and only that.
        if aligned_form is not None or alignment != AlignmentRequest():
            fields["alignment"] = alignment
        request = TranslateRequest.model_validate(fields)
        service = Service(settings, models)
        if asked == JSON:
            written = asyncio.run(_answer(service, request))
        else:
            aligned = asyncio.run(_aligned(service, request))
            written = (
                readable(aligned, asked, to_terminal=output is None)
                if aligned_form is None
                else _drawn(service, aligned, aligned_form, alignment, theme)
            )
    except ValidationError as error:
        fail(what_is_wrong(error), WRONG_INPUT)
    except ServiceError as error:
        fail(error.detail, WRONG_INPUT)
    put_out(written, output, is_binary=aligned_form is not None and aligned_form.is_binary)


async def _answer(service: Service, request: TranslateRequest) -> bytes:
    """What the API answers."""
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


def _drawn(
    service: Service, aligned: AlignedText, form: Format, asked: AlignmentRequest, theme: Theme
) -> bytes:
    options = FormatOptions(alignment=asked, theme=theme)
    return write(aligned, form, options, service.settings.max_matrix_cells)
