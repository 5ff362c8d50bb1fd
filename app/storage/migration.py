"""Brings a database to the schema of this release: in one transaction, one process at a time."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.storage.address import DatabaseAddress
from app.storage.faults import StorageStartupError
from app.storage.sqlite_file import check_file, locked, new_file, publish
from app.storage.transactions import start_transactions_ourselves

ADVISORY_LOCK = 0x50F7A119
"""Number of the lock that replicas on one PostgreSQL database take; any number of our own."""

CONNECT_SECONDS = 5.0


async def prepare_database(address: DatabaseAddress) -> None:
    """Make the database where there is none, upgrade it where it is older, refuse all else.

    Raises:
        StorageStartupError: it cannot be used; nothing in it was changed.
    """
    if address.file is not None:
        await asyncio.to_thread(_prepare_file, address, address.file)
        return
    try:
        await _upgrade_server(address)
    except (OSError, DBAPIError) as error:
        reason = getattr(error, "orig", None) or error
        raise StorageStartupError(
            f"the database {address} cannot be used ({_first_line(reason)}); "
            "check SOFTALIGN_DATABASE_URL and that the server runs"
        ) from None


def _prepare_file(address: DatabaseAddress, path: Path) -> None:
    with locked(path):
        # `lexists`: a link that leads nowhere is not a missing file, and must not be replaced.
        if path.exists() or path.is_symlink():
            check_file(path)
            _upgrade_file(address, path)
            return
        unfinished = new_file(path)
        _upgrade_file(address, unfinished)
        publish(unfinished, path)


def _upgrade_file(address: DatabaseAddress, path: Path) -> None:
    url = URL.create("sqlite", database=str(path))  # as text, `?` and `%` would mean something else
    engine = create_engine(url, poolclass=NullPool)
    start_transactions_ourselves(engine, always_writes=True)
    try:
        with engine.begin() as connection:
            _migrate(connection, address)
    except DBAPIError as error:
        raise StorageStartupError(
            f"{address} cannot be made or upgraded ({_first_line(error.orig)}); see that there is "
            "room on the disk and that no other program holds it"
        ) from None
    finally:
        engine.dispose()


async def _upgrade_server(address: DatabaseAddress) -> None:
    # Without the limits of time that requests have: a migration may take long.
    arguments = {"timeout": CONNECT_SECONDS}
    engine = create_async_engine(address.url, poolclass=NullPool, connect_args=arguments)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate, address)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, address: DatabaseAddress) -> None:
    if address.file is None:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    config = _alembic_config(connection)
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found == script.get_current_head():
        return
    known = {revision.revision for revision in script.walk_revisions()}
    if found is not None and found not in known:
        raise StorageStartupError(
            f"{address} has schema {found}, made by a newer Softalign (this one knows "
            f"{script.get_current_head()}); start that one, or restore the backup made before it"
        )
    if found is None and inspect(connection).get_table_names():
        raise StorageStartupError(
            f"{address} belongs to another program: it has tables and no schema of ours; "
            "name another database"
        )
    command.upgrade(config, "head")


def _alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "app.storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _first_line(error: BaseException | None) -> str:
    # Drivers name what they could not reach or who could not log in, never the password.
    return (str(error).splitlines() or [type(error).__name__])[0]
