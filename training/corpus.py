r"""Reads sentence pairs from TSV or from two parallel text files, plain or gzipped.

Only ``\n`` ends a line. U+2028, U+0085, form feeds and lone carriage returns stay inside it, where
`str.splitlines` would cut and shift every pair that follows against its translation.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import zip_longest
from pathlib import Path

from training.cleaning_report import CleaningReport
from training.config import OnBadLine

MAX_LINE_BYTES = 1 << 20
"""A longer line is counted and skipped without ever being held in memory."""
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CorpusError(ValueError):
    """A corpus that cannot be read as it stands; names file, line and byte where there is one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str
    origin: str = ""
    """Third column of a TSV file, by which an evaluation can be broken down; else empty."""


@dataclass(frozen=True, slots=True)
class _BadLine(Exception):  # noqa: N818 - becomes a CorpusError or a count
    reason: str
    detail: str


def read_pairs(
    files: tuple[Path, ...],
    report: CleaningReport,
    *,
    reverse: bool = False,
    on_bad_line: OnBadLine = "error",
) -> Iterator[Pair]:
    """Yield the pairs of one TSV file, or of a source and a target file, in order.

    `report.read` counts every line; lines that cannot be used are counted in `report.dropped`
    (over-long lines always, others where `on_bad_line` is `skip`).
    Raises CorpusError for an unreadable file, for files with different numbers of lines and,
    with `on_bad_line="error"`, for the first bad line.
    """
    rows = _tsv_rows(files[0]) if len(files) == 1 else _parallel_rows(files[0], files[1])
    for row in rows:
        report.read += 1
        if isinstance(row, _BadLine):
            if on_bad_line == "error" and row.reason != "line_too_long":
                raise CorpusError(
                    f'{row.detail} (on_bad_line = "skip" in [data] of a configuration drops it)'
                )
            report.drop(row.reason)
            continue
        yield Pair(row.target, row.source, row.origin) if reverse else row


def _tsv_rows(path: Path) -> Iterator[Pair | _BadLine]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            columns = _decode(line, path, number).split("\t")
        except _BadLine as bad:
            yield bad
            continue
        if len(columns) < 2:
            yield _BadLine("no_target", f"{path}:{number}: no tab, so no translation")
        else:
            yield Pair(columns[0], columns[1], columns[2] if len(columns) > 2 else "")


def _parallel_rows(source: Path, target: Path) -> Iterator[Pair | _BadLine]:
    first_one_sided = 0
    count = [0, 0]
    for number, lines in enumerate(zip_longest(_lines(source), _lines(target)), start=1):
        count[0] += lines[0] is not _END
        count[1] += lines[1] is not _END
        if _END in lines:
            continue
        try:
            row = Pair(_decode(lines[0], source, number), _decode(lines[1], target, number))
        except _BadLine as bad:
            yield bad
            continue
        if not first_one_sided and bool(row.source.strip()) != bool(row.target.strip()):
            first_one_sided = number
        yield row
    if count[0] != count[1]:
        suspicious = first_one_sided or min(count) + 1
        raise CorpusError(
            f"{source} has {count[0]} lines but {target} has {count[1]}; they must pair up line "
            f"by line. First suspicious line: {suspicious}"
        )


_END = None
"""What `zip_longest` gives for the file that is already over."""
_TOO_LONG = b"\n"
"""Stands for a line beyond MAX_LINE_BYTES; no line holds a newline, so it cannot be mistaken."""


def _decode(line: bytes | None, path: Path, number: int) -> str:
    assert line is not None
    if line is _TOO_LONG:
        detail = f"{path}:{number}: longer than {MAX_LINE_BYTES} bytes"
        raise _BadLine("line_too_long", detail)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"{path}:{number}:{error.start + 1}: not UTF-8 ({error.reason})"
        raise _BadLine("bad_utf8", detail) from None


def _lines(path: Path) -> Iterator[bytes]:
    """Lines without their ends (LF or CR LF), the first without a byte order mark."""
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    _skip_rest(file)
                    yield _TOO_LONG
                else:
                    yield line.removesuffix(b"\n").removesuffix(b"\r")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusError(f"{path}:{number + 1}: broken gzip data ({error})") from error
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error


def _skip_rest(file: BufferedIOBase) -> None:
    while (part := file.readline(MAX_LINE_BYTES)) and not part.endswith(b"\n"):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    if path.exists() and not path.is_file():
        raise CorpusError(f"{path}: not a regular file (it is read more than once)")
    with path.open("rb") as raw:
        if raw.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield unzipped
        else:
            yield raw
