"""How far a run is: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from app.bulk.lines import Line

LOG_SECONDS = 60.0
"""Between two lines where there is no terminal."""


class RunProgress:
    """Counts the lines of this run; the part of the input that is done tells the time left."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._began = self._logged = time.monotonic()
        self._task = bar.add_task("", total=None, lines=0, rate="–")
        self._lines = 0

    def start(self, size: int, offset: int) -> None:
        """The input has so many bytes, of which so many were done before."""
        self._began = self._logged = time.monotonic()
        self._bar.reset(self._task, total=size, completed=offset)

    def advance(self, line: Line) -> None:
        """A line is ready."""
        self._lines += 1
        now = time.monotonic()
        rate = f"{self._lines / max(now - self._began, 1e-9):.1f}"
        self._bar.update(self._task, advance=line.size, lines=self._lines, rate=rate)
        if not self._console.is_terminal and now - self._logged > LOG_SECONDS:
            self._logged = now
            task = self._bar.tasks[self._task]
            self._console.print(
                f"{self._lines} lines, {rate} lines/s, {task.percentage:.1f} % of the file",
                highlight=False,
            )


@contextmanager
def show_progress() -> Iterator[RunProgress]:
    """Progress on standard error."""
    console = Console(stderr=True)
    columns = (
        TaskProgressColumn(),
        BarColumn(),
        TextColumn("{task.fields[lines]} lines, {task.fields[rate]} lines/s, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield RunProgress(console, bar)
