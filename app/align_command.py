"""`python -m app align`: a pair of texts, or lines `source<TAB>target` on standard input."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from pydantic import ValidationError
from rich.console import Console

from app.align_schemas import AlignRequest
from app.errors import InvalidInputError, ServiceError
from app.formats.aligned import FormatOptions
from app.formats.table import FORMATS, Format, choose_format, write
from app.schemas import AlignmentRequest
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
    check_encoding,
    fail,
    readable,
    start,
    what_is_wrong,
)

JSON = "json"
FORMS_OF_MANY = (HEAT_MAP, JSON, "blocks", "pharaoh", "proj")
"""What several pairs can be written in, one after the other."""

SIDE_BY_SIDE = 16
"""Pairs that are aligned at once."""


def align(
    source: Annotated[
        str | None,
        typer.Argument(help="The text; without it, lines `source<TAB>target` of standard input."),
    ] = None,
    target: Annotated[str | None, typer.Argument(help="Its translation.")] = None,
    to: Annotated[str | None, typer.Option(help="Language of the translation.")] = None,
    source_lang: Annotated[str | None, typer.Option("--from", help="Language of the text.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model.")] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="heat-map, json (as the API answers), "
            f"{', '.join(one.name for one in FORMATS[1:])}; "
            f"of standard input {', '.join(FORMS_OF_MANY)}."
        ),
    ] = None,
    output: OutputOption = None,
    kind: KindOption = "attention",
    level: LevelOption = "word",
    threshold: ThresholdOption = None,
    both_directions: Annotated[
        bool,
        typer.Option(
            "--both-directions",
            help="Link words on which the alignment heads of both directions agree.",
        ),
    ] = False,
    theme: ThemeOption = "light",
    checkpoints: CheckpointsOption = None,
) -> None:
    """Align a text with a translation that is there already, or many of them, a line each.

    A line of standard input is one sentence pair, and is not split. Exit codes: 0 done, 1 cannot
    start, 2 the input cannot be used.
    """
    logging.basicConfig(level=logging.ERROR)
    if (source is None) != (target is None):
        fail("give a text and its translation, or neither", WRONG_INPUT)
    for text in (source, target):
        check_encoding(text or "")
    asked = format or (output.suffix.removeprefix(".") if output else "") or HEAT_MAP
    if source is None and asked not in FORMS_OF_MANY:
        fail(f"several pairs are written as {', '.join(FORMS_OF_MANY)}", WRONG_INPUT)
    settings, models = start(checkpoints)
    try:
        form = None if asked in (HEAT_MAP, JSON) else choose_format(asked, None)
        if form is not None and form.is_binary and output is None and sys.stdout.isatty():
            fail("this form is not for a terminal: name a file with --output", WRONG_INPUT)
        alignment = AlignmentRequest(
            kind="head" if both_directions else kind,
            level=level,
            threshold=threshold,
            form="links" if both_directions else "dense",
        )
        fields: dict[str, object] = {
            "alignment": alignment,
            "both_directions": both_directions,
            "source_lang": source_lang,
            "target_lang": to,
            "model": model,
        }
        pairs = (
            _read_lines(sys.stdin.buffer, fields)
            if source is None
            else iter([("", _request({**fields, "source": source, "target": target}))])
        )
        written = _Written(asked, form, FormatOptions(alignment=alignment, theme=theme), output)
        with written:
            asyncio.run(_align_all(Service(settings, models), pairs, written))
    except ValidationError as error:
        fail(what_is_wrong(error), WRONG_INPUT)
    except ServiceError as error:
        fail(error.detail, WRONG_INPUT)
    except OSError as error:
        fail(f"{output or 'standard output'} cannot be written: {error.strerror}", WRONG_INPUT)


class _Written:
    """Writes each pair in the form that was asked for, behind the one before."""

    def __init__(
        self, asked: str, form: Format | None, options: FormatOptions, output: Path | None
    ) -> None:
        self._asked = asked
        self._form = form
        self._options = replace(options, width=Console().width)
        self._output = output
        self._file: BinaryIO | None = None

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.put(b"")  # no pairs make an empty file
        if self._file is not None and self._output is not None:
            self._file.close()

    def put(self, content: bytes) -> None:
        """Write; a file that was there stays as it is until there is something to write."""
        if self._file is None:
            self._file = sys.stdout.buffer if self._output is None else self._output.open("wb")
        self._file.write(content)
        self._file.flush()

    async def content(self, service: Service, request: AlignRequest) -> bytes:
        if self._asked == JSON:
            answer = await service.align_pairs(request, choose_format(JSON, None), self._options)
            return answer.content + b"\n"
        aligned = await service.align_pair(request)
        if self._form is None:
            return readable(aligned, HEAT_MAP, to_terminal=self._output is None)
        return write(aligned, self._form, self._options, service.settings.max_matrix_cells)


async def _align_all(
    service: Service, pairs: Iterator[tuple[str, AlignRequest]], written: _Written
) -> None:
    service.start()
    try:
        while group := list(islice(pairs, SIDE_BY_SIDE)):
            jobs = [_named(place, written.content(service, request)) for place, request in group]
            for content in await asyncio.gather(*jobs):
                written.put(content)
    finally:
        await service.stop()


async def _named(place: str, content: Awaitable[bytes]) -> bytes:
    """The content, or its error with the line that it is about."""
    try:
        return await content
    except InvalidInputError as error:
        raise InvalidInputError(error.code, place + error.detail) from error


def _read_lines(
    lines: Iterable[bytes], fields: dict[str, object]
) -> Iterator[tuple[str, AlignRequest]]:
    """The pair of each line, and the words that name it in an error."""
    for number, raw in enumerate(lines, start=1):
        place = f"line {number}: "
        try:
            columns = raw.decode().rstrip("\r\n").split("\t")
        except UnicodeDecodeError:
            raise InvalidInputError("invalid_unicode", f"{place}it is not UTF-8") from None
        if len(columns) != 2:
            message = f"{place}it has {len(columns)} columns; source and target are needed"
            raise InvalidInputError("validation_failed", message)
        pair = {"source": columns[0], "target": columns[1], "split": False}
        try:
            yield place, _request({**fields, **pair})
        except ValidationError as error:
            raise InvalidInputError("validation_failed", place + what_is_wrong(error)) from error


def _request(fields: dict[str, object]) -> AlignRequest:
    return AlignRequest.model_validate(fields)
