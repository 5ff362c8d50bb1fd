"""The service under measurement, as it is or with static batches: `serve_worker.py PORT [static]`.

Settings come from the environment. Static batching is the same code, but nobody joins a table that
is not empty: the way of servers that collect a batch, run it, and collect the next.
"""

import sys

import uvicorn

import app.joining
from app.main import create_app


def join_empty_tables_only(budget: int, reserved: int) -> int:
    """Rows that may be taken: all of an empty table, none of any other."""
    return budget if reserved == 0 else 0


def main() -> None:
    port, *policy = sys.argv[1:]
    if policy == ["static"]:
        app.joining.free_rows = join_empty_tables_only
    uvicorn.run(create_app(), port=int(port), access_log=False, log_level="warning", backlog=4096)


if __name__ == "__main__":
    main()
