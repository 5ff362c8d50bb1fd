"""How far a run has come: a small file beside the output, replaced in one step after each window.

What it says is true after a crash at any point: the output is synced to the disk before the journal
that counts it, and what the output has beyond the journal is cut off when the run goes on.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from app.bulk.translation import TranslatedLine

LISTED = 10
"""Numbers of lines that are kept for each problem."""


class Trouble(BaseModel):
    """How many lines had one problem, and the first of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    first: tuple[int, ...]


class Journal(BaseModel):
    """All that a run needs in order to go on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    task: str
    """Model, options and form: a run goes on with the same ones only."""
    input_size: int
    input_sha256: str
    """Of the bytes before `input_offset`."""
    input_offset: int = 0
    output_offset: int = 0
    lines: int = 0
    problems: dict[str, Trouble] = {}

    def with_problems(self, done: Iterable[TranslatedLine]) -> dict[str, Trouble]:
        """The problems, those of these lines included."""
        problems = dict(self.problems)
        for one in done:
            if one.problem is not None:
                known = problems.get(one.problem, Trouble(count=0, first=()))
                first = (*known.first, one.line.number)[:LISTED]
                problems[one.problem] = Trouble(count=known.count + 1, first=first)
        return problems

    def save(self, path: Path) -> None:
        """Replace the journal in one step, and make sure that it is on the disk."""
        fresh = path.with_name(path.name + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(self.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)


def load_journal(path: Path) -> Journal | None:
    """The journal of a run that was stopped; None where there is none.

    Raises ValueError for a file that is not a journal.
    """
    try:
        return Journal.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a journal of this version") from error


def sync_folder(folder: Path) -> None:
    """Make sure that names which were added or changed in `folder` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
