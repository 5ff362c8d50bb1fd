"""Digests of what was downloaded, in a file that `sha256sum --check` reads too."""

import re
from pathlib import Path

from training.download.transfer import DownloadError, digest
from training.resume import write_durably

LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


class Checksums:
    """What each file was when it was first fetched.

    A corpus that its publisher changes without a word is noticed: who trusts the new one deletes
    its line. Kept under version control, the file makes sure that everybody has the same bytes.
    Raises DownloadError for a file that is no list of digests.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._digests: dict[str, str] = {}
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        for number, line in enumerate(lines, start=1):
            match = LINE.fullmatch(line)
            if match is None:
                raise DownloadError(f"{file}:{number}: not a SHA-256, two spaces and a file name")
            self._digests[match[2]] = match[1]

    def recorded(self, path: Path) -> str | None:
        """The digest on record for a file in our folder."""
        return self._digests.get(self._name(path))

    def matches(self, path: Path) -> bool:
        """Whether the file is there and is the one on record."""
        return path.exists() and digest(path) == self.recorded(path)

    def record(self, path: Path, found: str) -> bool:
        """Put a digest on record; False if it was there already."""
        if self.recorded(path) == found:
            return False
        self._digests[self._name(path)] = found
        lines = (f"{value}  {name}\n" for name, value in sorted(self._digests.items()))
        write_durably(self.file, "".join(lines).encode())
        return True

    def _name(self, path: Path) -> str:
        return path.relative_to(self.file.parent).as_posix()
