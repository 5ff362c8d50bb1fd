"""All that a running service keeps in its database, opened and closed as one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.settings import Settings
from app.storage.api_keys import ApiKeys
from app.storage.database import Database
from app.storage.purge import Purger
from app.storage.records import Records


@dataclass(frozen=True, slots=True)
class Storage:
    """The database and what is read from and written to it."""

    database: Database
    records: Records
    keys: ApiKeys


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    """Connect to the database that the settings name, and purge it in the background.

    Raises:
        StorageStartupError: it cannot be used.
    """
    database = await Database.open(settings)
    try:
        records = await Records.open(database, settings.max_record_bytes)
        purger = Purger(database, settings.purge_seconds)
        purger.start()
        try:
            yield Storage(database, records, ApiKeys(database))
        finally:
            await purger.stop()
    finally:
        await database.close()
