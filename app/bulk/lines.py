"""The lines of a file, a window at a time; whatever a line holds, it moves no other."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO, Literal

from app.limits import is_blank

Problem = Literal[
    "invalid_utf8", "control_character", "empty_text", "text_too_long", "inference_failed"
]
"""Why a line was not translated; the codes of the API where it has them."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the input without its end."""

    number: int
    """From 1."""
    size: int
    """Bytes in the file, its end included."""
    text: str
    """Empty where it cannot be used."""
    problem: Problem | None = None


class LineReader:
    """Reads lines that end in LF or CRLF; of one that is too long no more than that is held."""

    def __init__(self, file: BinaryIO, max_characters: int) -> None:
        self._file = file
        self._max_characters = max_characters
        self._number = 0
        self._hash = hashlib.sha256()
        self.offset = 0
        """Bytes that were read."""

    @property
    def digest(self) -> str:
        """SHA-256 of all bytes up to `offset`."""
        return self._hash.hexdigest()

    def fileno(self) -> int:
        """Descriptor of the file."""
        return self._file.fileno()

    def skip(self, offset: int, lines: int) -> None:
        """Read on to `offset`, behind so many lines, for the digest alone."""
        while self.offset < offset and self._read(min(CHUNK, offset - self.offset)):
            pass
        self._number = lines

    def window(self, most: int) -> list[Line]:
        """The next lines, at most so many; none at the end."""
        lines: list[Line] = []
        while len(lines) < most and (line := self._line()) is not None:
            lines.append(line)
        return lines

    def _line(self) -> Line | None:
        began = self.offset
        # Four bytes are the most that a character has in UTF-8.
        raw = self._take(4 * self._max_characters + len(BYTE_ORDER_MARK) + 2)
        if not raw:
            return None
        ended = raw.endswith(b"\n")
        while not ended and (rest := self._take(CHUNK)):
            ended = rest.endswith(b"\n")
        is_whole = self.offset - began == len(raw)
        self._number += 1
        if self._number == 1:
            raw = raw.removeprefix(BYTE_ORDER_MARK)
        text, problem = self._decode(raw) if is_whole else ("", "text_too_long")
        return Line(self._number, self.offset - began, text, problem)

    def _decode(self, raw: bytes) -> tuple[str, Problem | None]:
        try:
            text = raw.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            return "", "invalid_utf8"
        if "\0" in text:
            return "", "control_character"
        if is_blank(text):
            return "", "empty_text"
        if len(text) > self._max_characters:
            return "", "text_too_long"
        return text, None

    def _take(self, most: int) -> bytes:
        return self._count(self._file.readline(most))

    def _read(self, most: int) -> bytes:
        return self._count(self._file.read(most))

    def _count(self, raw: bytes) -> bytes:
        self._hash.update(raw)
        self.offset += len(raw)
        return raw
