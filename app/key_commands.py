"""`python -m app keys create|list|revoke`: the operator's way to keys; there is none over HTTP."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from app.errors import ServiceError
from app.keys import DEFAULT_SCOPES, SCOPES, new_key
from app.settings import SettingsError, load_settings
from app.storage.api_keys import ApiKey, ApiKeys
from app.storage.clock import SECOND, rfc3339, utc_microseconds
from app.storage.database import Database
from app.storage.faults import StorageStartupError

T = TypeVar("T")

OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of owners go into logs, so they hold nothing that could forge a line of one."""

RESERVED_OWNERS = frozenset({"local", "anonymous"})
DAY = 86_400 * SECOND

key_commands = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@key_commands.command()
def create(
    owner: Annotated[
        str, typer.Option(help="Whose records it reaches; keys of one owner share them.")
    ],
    scopes: Annotated[
        str, typer.Option(help=f"Divided by commas, out of: {', '.join(SCOPES)}.")
    ] = ",".join(DEFAULT_SCOPES),
    expires_days: Annotated[int, typer.Option(min=1, max=3_650, help="Days it is good for.")] = 365,
    note: Annotated[str, typer.Option(help="What it is for; shown by `list`.")] = "",
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    wanted = tuple(dict.fromkeys(scope.strip() for scope in scopes.split(",")))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        _fail(f"there is no scope {unknown[0]!r}; the scopes are {', '.join(SCOPES)}")
    if not OWNER.fullmatch(owner) or owner in RESERVED_OWNERS:
        _fail("an owner has 1 to 64 of A-Z a-z 0-9 . _ - and is not `local` or `anonymous`")
    if len(note) > 128 or not note.isprintable():
        _fail("a note has at most 128 printable characters")

    async def add(keys: ApiKeys, environment: str) -> str:
        text, presented = new_key(environment)
        now = utc_microseconds()
        await keys.add(
            ApiKey(
                kid=presented.kid,
                secret_hash=presented.secret_hash,
                owner=owner,
                scopes=wanted,
                note=note,
                created_at=now,
                expires_at=now + expires_days * DAY,
            )
        )
        return text

    typer.echo(_with_keys(add))
    typer.echo("This is the only time that the key is shown.", err=True)


@key_commands.command("list")
def list_keys() -> None:
    """Show all keys; their secrets are not known."""

    async def fetch(keys: ApiKeys, _environment: str) -> list[ApiKey]:
        return await keys.list_all()

    table = Table("id", "owner", "scopes", "state", "expires", "last used", "note", box=None)
    now = utc_microseconds()
    for key in _with_keys(fetch):
        state = "revoked" if key.revoked_at else "expired" if key.expires_at <= now else "good"
        used = rfc3339(key.last_used_at)[:10] if key.last_used_at else "never"
        expires = rfc3339(key.expires_at)[:10]
        scopes = " ".join(key.scopes)
        table.add_row(key.kid, key.owner, scopes, state, expires, used, key.note)
    console = Console(highlight=False, markup=False)
    console.print(table, width=None if console.is_terminal else 200)


@key_commands.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Its id: the 8 letters that `list` shows.")],
) -> None:
    """Make a key useless; running services notice within five seconds."""

    async def end(keys: ApiKeys, _environment: str) -> bool:
        return await keys.revoke(key_id)

    if not _with_keys(end):
        _fail(f"there is no key {key_id!r} that is still good; `keys list` shows them")
    typer.echo(f"{key_id} is revoked.")


def _with_keys(work: Callable[[ApiKeys, str], Awaitable[T]]) -> T:
    async def run() -> T:
        settings = load_settings()
        database = await Database.open(settings)
        try:
            return await work(ApiKeys(database), settings.key_environment)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (SettingsError, StorageStartupError) as error:
        _fail(str(error))
    except ServiceError as error:
        _fail(error.detail)


def _fail(message: str) -> NoReturn:
    typer.echo(f"softalign: {message}", err=True)
    raise typer.Exit(1)
