"""The service on the command line: `python -m app serve` and `python -m app translate`."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console

from app.errors import ServiceError
from app.formats.text_blocks import heat_map, legend
from app.main import create_app
from app.models import LoadedModels, StartupError, load_models
from app.problems import field_error
from app.schemas import (
    AlignmentReply,
    DecodingRequest,
    DenseMatrix,
    TranslateReply,
    TranslateRequest,
)
from app.service import Service
from app.settings import Settings, SettingsError, load_settings
from model.hypothesis import SearchOptions

CANNOT_START = 1
WRONG_INPUT = 2

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


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8000,
    checkpoints: CheckpointsOption = None,
) -> None:
    """Serve the models over HTTP."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings, models = _start(checkpoints)
    config = uvicorn.Config(
        create_app(settings, models),
        host=host,
        port=port,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    socket = config.bind_socket()
    bound_host, bound_port = socket.getsockname()[:2]
    print(_welcome(f"http://{bound_host}:{bound_port}", models), flush=True)
    uvicorn.Server(config).run(sockets=[socket])


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
        Literal["heat-map", "text", "json"],
        typer.Option(help="The translation with its alignment, alone, or as the API answers."),
    ] = "heat-map",
    checkpoints: CheckpointsOption = None,
) -> None:
    """Translate a text here, without a server; exit code 2 means that the input cannot be used."""
    logging.basicConfig(level=logging.ERROR)
    settings, models = _start(checkpoints)
    try:
        request = TranslateRequest(
            text=sys.stdin.read() if text is None else text,
            source_lang=source,
            target_lang=to,
            model=model,
            decoding=DecodingRequest(beam_size=beam),
        )
        content = asyncio.run(_translate(Service(settings, models), request))
    except ValidationError as error:
        _fail(field_error(error.errors()[0], {}).message, WRONG_INPUT)
    except ServiceError as error:
        _fail(error.detail, WRONG_INPUT)
    if format == "json":
        print(content)
        return
    best = TranslateReply.model_validate_json(content).translations[0]
    print(best.text)
    if format == "heat-map" and best.alignment is not None:
        _draw(best.alignment)


async def _translate(service: Service, request: TranslateRequest) -> str:
    service.start()
    try:
        return (await service.translate(request)).content
    finally:
        await service.stop()


def _draw(alignment: AlignmentReply) -> None:
    console = Console(highlight=False)
    for matrix in alignment.segments:
        assert isinstance(matrix, DenseMatrix)
        console.print()
        source, target = (
            [token.text for token in side] for side in (matrix.source_tokens, matrix.target_tokens)
        )
        for line in heat_map(source, target, matrix.weights, console.width):
            console.print(line, no_wrap=True, crop=False, overflow="ignore")
    console.print()
    console.print(legend(), no_wrap=True)


def _start(checkpoints: Path | None) -> tuple[Settings, LoadedModels]:
    try:
        settings = load_settings()
        if checkpoints is not None:
            settings = settings.model_copy(update={"checkpoints": checkpoints})
        return settings, load_models(settings.checkpoints)
    except (SettingsError, StartupError) as error:
        _fail(str(error), CANNOT_START)


def _welcome(address: str, models: LoadedModels) -> str:
    first = next(iter(models))
    body = {
        "text": SAMPLES.get(first.source_language, "?"),
        "source_lang": first.source_language,
        "target_lang": first.target_language,
    }
    names = ", ".join(model.name for model in models)
    return (
        f"Softalign serves {names} at {address} (documentation: {address}/docs)\n"
        f"curl -s {address}/v1/translate -H 'Content-Type: application/json' "
        f"-d '{json.dumps(body, ensure_ascii=False)}'"
    )


def _fail(message: str, code: int) -> NoReturn:
    print(f"softalign: {message}", file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":
    commands(prog_name="python -m app")
