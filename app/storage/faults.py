"""What goes wrong with a database, told as errors that a caller or an operator understands."""

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.errors import ServiceError, StorageFullError, StorageUnavailableError

SQLITE_FULL = {sqlite3.SQLITE_FULL}
SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_INTERRUPT,
}
POSTGRES_FULL = ("53100",)
POSTGRES_AWAY = ("08", "53", "57", "58", "25006", "28", "3D", "55P03", "XX")
"""Classes of SQLSTATE: connection, resources, operator, system, read-only, log-in, no such
database, lock not available, internal error."""
POSTGRES_TRANSIENT = ("40001", "40P01", "57P01")
"""Serialisation failure, deadlock, connection ended by an operator: worth trying again at once."""


class StorageStartupError(Exception):
    """This database cannot be used; the message says in one line why and what to do."""


class TransientError(Exception):
    """The transaction was rolled back through no fault of its own."""


def service_error(error: BaseException, most_seconds: int) -> ServiceError | None:
    """What a caller is told about a fault of the database; None where the fault is in our code."""
    if isinstance(error, DBAPIError):
        # Without the driver's own text: it can quote values of the statement.
        if _is_full(error.orig):
            return StorageFullError(most_seconds)
        if error.connection_invalidated or _is_away(error.orig):
            return StorageUnavailableError(most_seconds)
        return None
    if isinstance(error, (PoolTimeoutError, OSError, TransientError)):  # TimeoutError is an OSError
        return StorageUnavailableError(most_seconds)
    return None


def is_transient(error: DBAPIError) -> bool:
    """True where the same transaction can succeed when it is tried again at once."""
    return _sqlstate(error.orig) in POSTGRES_TRANSIENT


def is_lost(error: BaseException) -> bool:
    """True where the database did not answer at all, so that waiting for it again is in vain."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _sqlstate(error.orig).startswith(("08", "57P"))
    return isinstance(error, OSError)


def _is_full(origin: BaseException | None) -> bool:
    return _sqlite_code(origin) in SQLITE_FULL or _sqlstate(origin) in POSTGRES_FULL


def _is_away(origin: BaseException | None) -> bool:
    if _sqlite_code(origin) in SQLITE_AWAY or isinstance(origin, OSError):
        return True
    sqlstate = _sqlstate(origin)
    # A driver's error without a code of the server is about the connection.
    lost = not sqlstate and type(origin).__name__ in ("InterfaceError", "InternalServerError")
    return lost or sqlstate.startswith(POSTGRES_AWAY)


def _sqlite_code(origin: BaseException | None) -> int | None:
    code = getattr(origin, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF  # the rest of it is the extended code


def _sqlstate(origin: BaseException | None) -> str:
    return str(getattr(origin, "sqlstate", None) or "")
