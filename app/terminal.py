"""What the commands share: their start, their failures, and how they show an alignment."""

import sys
from io import StringIO
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from app.errors import InvalidInputError
from app.formats.aligned import AlignedText, Theme
from app.formats.text_blocks import heat_map, legend
from app.models import LoadedModels, StartupError, load_models
from app.problems import field_error
from app.settings import Settings, SettingsError, load_settings
from model.alignment import AlignmentKind, Level

CANNOT_START = 1
WRONG_INPUT = 2
SOME_LINES_FAILED = 3
"""A file was worked through, and some of its lines could not be used."""

HEAT_MAP = "heat-map"

CheckpointsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of checkpoints, instead of SOFTALIGN_CHECKPOINTS."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File; its ending can be the format.")
]
KindOption = Annotated[
    AlignmentKind, typer.Option(help="head is the better one, of models that have it.")
]
LevelOption = Annotated[Level, typer.Option(help="Tokens of the alignment.")]
ThresholdOption = Annotated[
    float | None, typer.Option(help="Smallest weight of links beside the best ones.")
]
ThemeOption = Annotated[Theme, typer.Option(help="Colours of pictures.")]


def start(checkpoints: Path | None) -> tuple[Settings, LoadedModels]:
    """Settings and models; a command that cannot have them ends here."""
    settings = start_settings(checkpoints)
    return settings, start_models(settings)


def start_settings(checkpoints: Path | None) -> Settings:
    """The settings, as `settings_with`; a command that cannot have them ends here."""
    try:
        return settings_with(checkpoints)
    except SettingsError as error:
        fail(str(error), CANNOT_START)


def start_models(settings: Settings) -> LoadedModels:
    """The models that the settings name; a command that cannot have them ends here."""
    try:
        return load_models(settings.checkpoints)
    except StartupError as error:
        fail(str(error), CANNOT_START)


def settings_with(checkpoints: Path | None) -> Settings:
    """The settings, with another folder of checkpoints if there is one."""
    settings = load_settings()
    return (
        settings
        if checkpoints is None
        else settings.model_copy(update={"checkpoints": checkpoints})
    )


def text_or_input(text: str | None) -> str:
    """The text of the command line, or else standard input; one that is not UTF-8 ends here."""
    if text is None:
        try:
            return sys.stdin.buffer.read().decode()
        except UnicodeDecodeError as error:
            fail(f"standard input is not UTF-8 from byte {error.start} on", WRONG_INPUT)
    check_encoding(text)
    return text


def check_encoding(text: str) -> None:
    """End where bytes of the command line were not UTF-8: Python gives these as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        fail(f"the text is not UTF-8 from character {error.start} on", WRONG_INPUT)


def what_is_wrong(error: ValidationError) -> str:
    """The first thing that cannot be used, and where it stands."""
    return InvalidInputError.of([field_error(error.errors()[0], {})]).detail


def readable(aligned: AlignedText, asked: str, *, to_terminal: bool) -> bytes:
    """The target and, as a heat map, its alignment; coloured where a terminal shows it."""
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
            for line in legend(console.width):
                console.print(line, no_wrap=True)
        return lines.getvalue().encode()


def put_out(written: bytes, output: Path | None, *, is_binary: bool) -> None:
    """To the file, or else to standard output."""
    if output is not None:
        try:
            output.write_bytes(written)
        except OSError as error:
            fail(f"{output} cannot be written: {error.strerror}", WRONG_INPUT)
    elif is_binary and sys.stdout.isatty():
        fail("this form is not for a terminal: name a file with --output", WRONG_INPUT)
    else:
        sys.stdout.buffer.write(written)


def fail(message: str, code: int) -> NoReturn:
    """End the command with one line that says why."""
    typer.echo(f"softalign: {message}", err=True)
    raise typer.Exit(code)
