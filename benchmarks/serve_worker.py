"""The service under measurement: `serve_worker.py PORT [static|whole]`.

Settings come from the environment. Static batching is the same code, but nobody joins a table that
is not empty. With `static` each sentence is still answered as soon as it ends, and those that are
left go on without it; with `whole` the answers wait for the end of their batch, the way of servers
that collect a batch, run a model on it, and hand the results out.
"""

import os
import sys
from pathlib import Path

import app.joining
from app.collector import set_imports_aside
from app.engine import Engine, Outcome
from app.models import load_models
from app.server import Process, bind
from app.settings import load_settings


def join_empty_tables_only(budget: int, reserved: int, _share: float = 0.0) -> int:
    """Rows that may be taken: all of an empty table, none of any other."""
    return budget if reserved == 0 else 0


def hold_answers_until_all_are_done() -> None:
    """Make engines give what has come of their sentences once the last one has ended."""
    step = Engine.step
    held: list[Outcome] = []

    def step_and_hold(self: Engine) -> list[Outcome]:
        held.extend(step(self))
        if self:
            return []
        outcomes = held.copy()
        held.clear()
        return outcomes

    Engine.step = step_and_hold  # type: ignore[method-assign]


def main() -> None:
    port, *policy = sys.argv[1:]
    if policy:
        app.joining.free_rows = join_empty_tables_only
    if policy == ["whole"]:
        hold_answers_until_all_are_done()
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
