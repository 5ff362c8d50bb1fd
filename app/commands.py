"""The service on the command line: `python -m app serve`, `translate`, `align` and more."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Annotated

import typer

from app.align_command import align
from app.catalog import fast_network
from app.collector import set_imports_aside
from app.errors import ServiceError
from app.exposure import ExposureError, check_exposure
from app.key_commands import key_commands
from app.main import create_app
from app.models import LoadedModels, StartupError, load_model, load_models
from app.server import Process, bind
from app.settings import SettingsError
from app.storage.faults import StorageStartupError
from app.terminal import CANNOT_START, CheckpointsOption, fail, settings_with
from app.translate_command import translate
from app.warm_up import warm_up

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
commands.add_typer(key_commands, name="keys")
commands.command()(translate)
commands.command()(align)


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8000,
    checkpoints: CheckpointsOption = None,
) -> None:
    """Serve the models over HTTP. Exit codes: 0 stopped, 1 cannot start, 3 cannot recover."""
    try:
        settings = settings_with(checkpoints)
        # Before the models are loaded: a port that is taken shows at once.
        public = bind(host, port)
        admin = (
            None if settings.admin_port is None else bind(settings.admin_host, settings.admin_port)
        )
        access = asyncio.run(check_exposure(settings, host))
        set_imports_aside()
        models = load_models(settings.checkpoints)
        welcome = _welcome(_address(public), models, access, _address(admin) if admin else None)
        process = Process(settings, models, public, admin)
        code = process.run(when_ready=lambda: print(welcome, flush=True))
    except (ExposureError, SettingsError, StartupError, StorageStartupError) as error:
        fail(str(error), CANNOT_START)
    except ServiceError as error:  # of a database that went away between two looks at it
        fail(error.detail, CANNOT_START)
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
        fail(str(error), CANNOT_START)
    print(model.identity)


@commands.command()
def openapi() -> None:
    """Print the OpenAPI document of the service, as `GET /openapi.json` gives it."""
    try:
        document = create_app().openapi()
    except SettingsError as error:
        fail(str(error), CANNOT_START)
    print(json.dumps(document, indent=2, ensure_ascii=False))


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
