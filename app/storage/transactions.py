"""SQLite's transactions, begun by us: Python's driver begins them late and always as readers.

A reader that turns writer fails at once where another process wrote in between; one that begins as
a writer (`BEGIN IMMEDIATE`) waits for its turn instead.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event

WRITES = "softalign_writes"
"""Execution option of a connection that is going to write."""


def start_transactions_ourselves(engine: Engine, *, always_writes: bool = False) -> None:
    """Make every transaction of a SQLite `engine` begin as what its connection is marked to be."""

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = always_writes or connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
