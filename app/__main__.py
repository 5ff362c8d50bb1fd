"""The service on the command line: `python -m app serve` and `python -m app translate`."""

import asyncio
import json
import logging
import socket
import sys
from io import StringIO
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from app.catalog import fast_network
from app.errors import ServiceError
from app.exposure import ExposureError, check_exposure
from app.formats.aligned import AlignedText, FormatOptions, Theme
from app.formats.table import FORMATS, choose_format, write
from app.formats.text_blocks import heat_map, legend
from app.key_commands import key_commands
from app.models import LoadedModels, StartupError, load_model, load_models
from app.problems import field_error
from app.schemas import AlignmentRequest, DecodingRequest, Level, TranslateRequest
from app.server import Process, bind
from app.service import Service
from app.settings import Settings, SettingsError, load_settings
from app.storage.faults import StorageStartupError
from app.warm_up import warm_up
from model.alignment import AlignmentKind
from model.hypothesis import SearchOptions

CANNOT_START = 1
WRONG_INPUT = 2

HEAT_MAP = "heat-map"
TRANSLATION_FORMS = (HEAT_MAP, "text", "json")
"""What shows the translation itself; every other form is one of its alignment."""

SAMPLES = {
    "en": "The cat sleeps on the sofa.",
    "fr": "Le chat dort sur le canapé.",
    "de": "Die Katze schläft auf dem Sofa.",
}
"""A sentence for the first request, by language."""

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Softalign: translations with the alignment of every word.",
)

CheckpointsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of checkpoints, instead of SOFTALIGN_CHECKPOINTS."),
]
commands.add_typer(key_commands, name="keys")


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8000,
    checkpoints: CheckpointsOption = None,
) -> None:
    """Serve the models over HTTP. Exit codes: 0 stopped, 1 cannot start, 3 cannot recover."""
    try:
        settings = _settings(checkpoints)
        # Before the models are loaded: a port that is taken shows at once.
        public = bind(host, port)
        admin = (
            None if settings.admin_port is None else bind(settings.admin_host, settings.admin_port)
        )
        access = asyncio.run(check_exposure(settings, host))
        models = load_models(settings.checkpoints)
        welcome = _welcome(_address(public), models, access, _address(admin) if admin else None)
        process = Process(settings, models, public, admin)
        code = process.run(when_ready=lambda: print(welcome, flush=True))
    except (ExposureError, SettingsError, StartupError, StorageStartupError) as error:
        _fail(str(error), CANNOT_START)
    raise typer.Exit(code)


@commands.command()
def check(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of one checkpoint.")],
) -> None:
    """Load a checkpoint and translate with it once, as a start or a reload of the service would."""
    try:
        model = load_model(checkpoint)
        warm_up(model, fast_network(model))
    except StartupError as error:
        _fail(str(error), CANNOT_START)
    print(model.identity)


@commands.command()
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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; its ending can be the format.")
    ] = None,
    kind: Annotated[
        AlignmentKind, typer.Option(help="head is the better one, of models that have it.")
    ] = "attention",
    level: Annotated[Level, typer.Option(help="Tokens of the alignment.")] = "word",
    threshold: Annotated[
        float | None, typer.Option(help="Smallest weight of links beside the best ones.")
    ] = None,
    theme: Annotated[Theme, typer.Option(help="Colours of pictures.")] = "light",
    checkpoints: CheckpointsOption = None,
) -> None:
    """Translate a text here, without a server; exit code 2 means that the input cannot be used."""
    logging.basicConfig(level=logging.ERROR)
    asked = format or (output.suffix.removeprefix(".") if output else "") or HEAT_MAP
    settings, models = _start(checkpoints)
    try:
        form = None if asked in TRANSLATION_FORMS else choose_format(asked, None)
        alignment = AlignmentRequest(kind=kind, level=level, threshold=threshold)
        fields: dict[str, object] = {
            "text": sys.stdin.read() if text is None else text,
            "source_lang": source,
            "target_lang": to,
            "model": model,
            "decoding": DecodingRequest(beam_size=beam),
        }
        # A model without attention refuses an alignment that is asked for, and only that.
        if form is not None or level != "word":
            fields["alignment"] = alignment
        request = TranslateRequest.model_validate(fields)
        service = Service(settings, models)
        if asked == "json":
            written = asyncio.run(_answer(service, request))
        else:
            aligned = asyncio.run(_aligned(service, request))
            options = FormatOptions(alignment=alignment, theme=theme)
            written = (
                _readable(aligned, asked, to_terminal=output is None)
                if form is None
                else write(aligned, form, options, settings.max_matrix_cells)
            )
    except ValidationError as error:
        _fail(field_error(error.errors()[0], {}).message, WRONG_INPUT)
    except ServiceError as error:
        _fail(error.detail, WRONG_INPUT)
    _put_out(written, output, is_binary=form is not None and form.is_binary)


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


def _readable(aligned: AlignedText, asked: str, *, to_terminal: bool) -> bytes:
    """The translation and, as a heat map, its alignment; coloured where a terminal shows it."""
    with StringIO() as lines:
        console = Console(
            file=lines,
            highlight=False,
            width=Console().width,
            force_terminal=to_terminal and sys.stdout.isatty(),
        )
        print(aligned.target, file=lines)
        if asked == HEAT_MAP and aligned.segments:
            for one in aligned.segments:
                print(file=lines)
                for line in heat_map(one.alignment, console.width):
                    console.print(line, no_wrap=True, crop=False, overflow="ignore")
            print(file=lines)
            console.print(legend(), no_wrap=True)
        return lines.getvalue().encode()


def _put_out(written: bytes, output: Path | None, *, is_binary: bool) -> None:
    if output is not None:
        try:
            output.write_bytes(written)
        except OSError as error:
            _fail(f"{output} cannot be written: {error.strerror}", WRONG_INPUT)
    elif is_binary and sys.stdout.isatty():
        _fail("this form is not for a terminal: name a file with --output", WRONG_INPUT)
    else:
        sys.stdout.buffer.write(written)


def _start(checkpoints: Path | None) -> tuple[Settings, LoadedModels]:
    try:
        settings = _settings(checkpoints)
        return settings, load_models(settings.checkpoints)
    except (SettingsError, StartupError) as error:
        _fail(str(error), CANNOT_START)


def _settings(checkpoints: Path | None) -> Settings:
    settings = load_settings()
    return (
        settings
        if checkpoints is None
        else settings.model_copy(update={"checkpoints": checkpoints})
    )


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _welcome(address: str, models: LoadedModels, access: str, admin: str | None = None) -> str:
    first = next(iter(models))
    body = {
        "text": SAMPLES.get(first.source_language, "?"),
        "source_lang": first.source_language,
        "target_lang": first.target_language,
    }
    names = ", ".join(model.name for model in models)
    return "\n".join(
        [
            f"Softalign serves {names} at {address} (documentation: {address}/docs)",
            access,
            *([f"metrics: {admin}/metrics"] if admin else []),
            f"curl -s {address}/v1/translate -H 'Content-Type: application/json' "
            f"-d '{json.dumps(body, ensure_ascii=False)}'",
        ]
    )


def _fail(message: str, code: int) -> NoReturn:
    print(f"softalign: {message}", file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":
    commands(prog_name="python -m app")
