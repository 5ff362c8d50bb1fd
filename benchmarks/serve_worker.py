"""The service under measurement, as it is or with static batches: `serve_worker.py PORT [static]`.

Settings come from the environment. Static batching is the same code, but nobody joins a table that
is not empty: the way of servers that collect a batch, run it, and collect the next.
"""

import os
import sys
from pathlib import Path

import app.joining
from app.collector import set_imports_aside
from app.models import load_models
from app.server import Process, bind
from app.settings import load_settings


def join_empty_tables_only(budget: int, reserved: int, _share: float = 0.0) -> int:
    """Rows that may be taken: all of an empty table, none of any other."""
    return budget if reserved == 0 else 0


def main() -> None:
    port, *policy = sys.argv[1:]
    if policy == ["static"]:
        app.joining.free_rows = join_empty_tables_only
    set_imports_aside()  # as `python -m app serve` does
    settings = load_settings()
    public = bind("127.0.0.1", int(port))
    with Path(os.devnull).open("wb") as nowhere:
        process = Process(
            settings,
            load_models(settings.checkpoints),
            public,
            None,
            log_descriptor=nowhere.fileno(),
        )
        sys.exit(process.run())


if __name__ == "__main__":
    main()
