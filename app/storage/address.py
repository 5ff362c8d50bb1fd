"""Which database: its URL, and how it is named where people read it (never with the password)."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.settings import Settings, read_secret
from app.storage.faults import StorageStartupError

FILE_NAME = "softalign.db"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A URL with the driver that this service uses."""

    url: URL

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        if self.url.get_backend_name() != "sqlite":
            return None
        return Path(self.url.database or "")

    def __str__(self) -> str:
        if self.file is not None:
            return str(self.file)
        return f"{self.url.host or 'localhost'}:{self.url.port or 5432}/{self.url.database or ''}"


def database_address(settings: Settings) -> DatabaseAddress:
    """The database that the settings name.

    Raises:
        StorageStartupError: the URL cannot be used.
        SettingsError: its file cannot be read.
    """
    text = read_secret(settings, "database_url")
    if text is None:
        return sqlite_address(settings.data / FILE_NAME)
    try:
        url = make_url(text)
    except ArgumentError:
        # Its own message quotes the URL, and with it the password.
        raise StorageStartupError(
            "SOFTALIGN_DATABASE_URL is not a URL such as postgresql://user:password@host/name"
        ) from None
    if url.get_backend_name() == "postgresql":
        return DatabaseAddress(url.set(drivername="postgresql+asyncpg"))
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return sqlite_address(Path(str(url.database)))
    raise StorageStartupError(
        "SOFTALIGN_DATABASE_URL must start with postgresql:// or name a file with sqlite:///"
    )


def sqlite_address(file: Path) -> DatabaseAddress:
    """The SQLite database in `file`."""
    return DatabaseAddress(URL.create("sqlite+aiosqlite", database=str(file.absolute())))
