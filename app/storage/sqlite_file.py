"""The file of a SQLite database: looked at before it is opened, and never replaced or repaired.

A file that is not what it should be is an accident that somebody can still recover from, unless a
service starts by writing into it. So every check reads only.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.storage.faults import StorageStartupError

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
QUICK_CHECK_BYTES = 64 * 2**20
"""Up to this size every page is checked at the start; it takes under a second."""

RESTORE = "restore a backup, or move the file away to start with an empty database"


def check_file(path: Path) -> None:
    """Refuse what exists at `path` and is not a whole, writable SQLite database.

    Raises:
        StorageStartupError: names the file and what to do.
    """
    if not path.is_file():
        raise StorageStartupError(
            f"{path} is not a file; set SOFTALIGN_DATA to a folder where it is one, or is missing"
        )
    # An administrator may write everywhere, so the mode itself is looked at, too.
    if not os.access(path, os.W_OK) or not path.stat().st_mode & 0o222:
        raise StorageStartupError(
            f"{path} is read-only; make it writable for this user (chmod u+w)"
        )
    if not os.access(path.parent, os.W_OK):
        raise StorageStartupError(
            f"the folder {path.parent} is read-only; the journal of {path.name} is written there"
        )
    _check_header(path)
    _check_pages(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time make or upgrade the database at `path`; the others wait."""
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageStartupError(
            f"{lock} cannot be written ({error.strerror}); set SOFTALIGN_DATA to a writable folder"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # let go of by the system if the process dies
        yield
    finally:
        os.close(descriptor)


def new_file(path: Path) -> Path:
    """Where the database of `path` is made, so that `path` never holds half of one."""
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
        leftover.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    return unfinished


def publish(unfinished: Path, path: Path) -> None:
    """Give a finished database its name, so that it is there after a power loss, too."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if not header:
        raise StorageStartupError(f"{path} is empty (0 bytes), so its content is lost; {RESTORE}")
    if not header.startswith(MAGIC) or len(header) < HEADER_BYTES:
        raise StorageStartupError(f"{path} is not a SQLite database; {RESTORE}")
    page_bytes = int.from_bytes(header[16:18], "big")
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    pages = int.from_bytes(header[28:32], "big")
    # A crash in the middle of a checkpoint leaves the rest in the write-ahead log.
    log = path.with_name(path.name + "-wal")
    has_log = log.exists() and log.stat().st_size > 0
    if path.stat().st_size < pages * page_bytes and not has_log:
        raise StorageStartupError(
            f"{path} is cut off: {path.stat().st_size} of {pages * page_bytes} bytes; {RESTORE}"
        )


def _check_pages(path: Path) -> None:
    statement = "PRAGMA quick_check(1)"
    if path.stat().st_size > QUICK_CHECK_BYTES:
        statement = "SELECT 'ok' FROM (SELECT count(*) FROM sqlite_schema)"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            (answer,) = connection.execute(statement).fetchone()
    except sqlite3.Error as error:
        raise StorageStartupError(f"{path} cannot be read ({error}); {RESTORE}") from None
    if answer != "ok":
        raise StorageStartupError(f"{path} is damaged ({answer.splitlines()[0]}); {RESTORE}")
