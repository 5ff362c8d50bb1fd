"""One run over a file: resumed where it was stopped, and complete or not there at its end.

While it runs the output is `OUTPUT.part`, with `OUTPUT.journal` beside it; both are gone when
`OUTPUT` is there. A run that was killed at any point and is started again with the same command
gives the same bytes as one that was not.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.bulk.journal import Journal, Trouble, load_journal, sync_folder
from app.bulk.lines import Line, LineReader
from app.bulk.translation import TranslatedLine

WINDOW_LINES = 512
"""Lines that are sorted by length, translated and saved together."""


class BulkError(Exception):
    """The run cannot start, or not go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class BulkTask:
    """What to translate to where, and how."""

    input: Path
    output: Path
    name: str
    """Model, options and form in words; a stopped run goes on with the same ones only."""
    translate: Callable[[Sequence[Line]], list[TranslatedLine]]
    write: Callable[[TranslatedLine], str]
    max_characters: int
    """Of a line; a longer one is not translated."""
    window_lines: int = WINDOW_LINES

    @property
    def part(self) -> Path:
        """The output while it is not complete."""
        return self.output.with_name(self.output.name + ".part")

    @property
    def journal(self) -> Path:
        """What says how far the run has come."""
        return self.output.with_name(self.output.name + ".journal")


@dataclass(frozen=True, slots=True)
class Account:
    """What became of all lines."""

    lines: int
    problems: Mapping[str, Trouble]

    @property
    def translated(self) -> int:
        """Lines that have a translation."""
        return self.lines - sum(trouble.count for trouble in self.problems.values())


def run(task: BulkTask, on_start: Callable[[int, int], None] = lambda *_: None) -> Account:
    """Translate what is not translated yet; `on_start` hears the input's size and the beginning.

    Raises:
        BulkError: a file is missing, in the way, in use, or not what it was when the run began.
    """
    try:
        journal = load_journal(task.journal)
        if (done := _completed(task, journal)) is not None:
            return done
        with _opened(task) as source, _locked(task.part) as part:
            size = os.fstat(source.fileno()).st_size
            journal = journal or Journal(task=task.name, input_size=size, input_sha256="")
            reader = LineReader(source, task.max_characters)
            _go_on(task, journal, reader, part)
            on_start(size, reader.offset)
            while lines := reader.window(task.window_lines):
                if os.fstat(source.fileno()).st_size != journal.input_size:
                    raise BulkError(f"{task.input} has changed while it was read; {_anew(task)}")
                journal = _save_window(task, journal, lines, reader, part)
            # So that a run over an empty file leaves the same traces as any other.
            journal.save(task.journal)
            task.part.replace(task.output)
        return _finish(task, journal)
    except ValueError as error:
        raise BulkError(f"{error}; {_anew(task)}") from error
    except OSError as error:
        # A write that fails, on a full disk for instance, names no file.
        raise BulkError(f"{error.filename or task.output}: {error.strerror}") from error


def _completed(task: BulkTask, journal: Journal | None) -> Account | None:
    """The end of a run that was killed between its last two steps."""
    if not task.output.exists():
        if journal is not None and journal.output_offset and not task.part.exists():
            raise BulkError(f"{task.part} is gone; {_anew(task)}")
        return None
    if journal is None or task.part.exists():
        raise BulkError(f"{task.output} is there already; remove it or name another file")
    return _finish(task, journal)


def _finish(task: BulkTask, journal: Journal) -> Account:
    sync_folder(task.output.parent)
    task.journal.unlink()
    return Account(journal.lines, journal.problems)


def _opened(task: BulkTask) -> BinaryIO:
    """The input; what is no file is refused before anything is written."""
    source = task.input.open("rb")
    if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        source.close()
        raise BulkError(f"{task.input} is not a file; a run must be able to read its input again")
    return source


def _go_on(task: BulkTask, journal: Journal, reader: LineReader, part: BinaryIO) -> None:
    """Take both files to where the journal is; refuse what is not the same any more."""
    if journal.task != task.name:
        raise BulkError(f"the run that was stopped was: {journal.task}; now it is: {task.name}; "
                        f"give the same options, or {_anew(task)}")  # fmt: skip
    reader.skip(journal.input_offset, journal.lines)
    is_same = os.fstat(reader.fileno()).st_size == journal.input_size
    if journal.input_offset and (not is_same or reader.digest != journal.input_sha256):
        raise BulkError(f"{task.input} is not what it was when the run began; {_anew(task)}")
    if os.fstat(part.fileno()).st_size < journal.output_offset:
        raise BulkError(f"{task.part} is shorter than what was saved; {_anew(task)}")
    part.truncate(journal.output_offset)
    part.seek(journal.output_offset)


def _save_window(
    task: BulkTask, journal: Journal, lines: Sequence[Line], reader: LineReader, part: BinaryIO
) -> Journal:
    done = task.translate(lines)
    written = "".join(task.write(one) + "\n" for one in done).encode()
    part.write(written)
    part.flush()
    os.fsync(part.fileno())
    journal = journal.model_copy(
        update={
            "input_sha256": reader.digest,
            "input_offset": reader.offset,
            "output_offset": journal.output_offset + len(written),
            "lines": journal.lines + len(lines),
            "problems": journal.with_problems(done),
        }
    )
    journal.save(task.journal)
    return journal


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, made where it is missing, for this process alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BulkError(f"another run writes {path}") from None
        yield file


def _anew(task: BulkTask) -> str:
    return f"to start anew, remove {task.journal} and {task.part}"
