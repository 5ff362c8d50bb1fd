"""Fetches one file over HTTP: what has arrived is kept, and goes on where it broke off.

A download grows as `NAME.part`; beside it, `NAME.validator` holds the ETag (or the date) of the
file that it is a part of. A later request asks for the rest `If-Range` the file is still that one
(RFC 9110, section 13.1.5): a server whose file has changed answers with the whole new file, and no
two versions are ever glued together.
"""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from training.resume import write_durably

FRUITLESS = 5
"""Attempts in a row that may bring nothing new before a download is given up."""
FIRST_WAIT_SECONDS = 0.5
"""Pause before the second of them; each further one is twice as long."""
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which another attempt may do better."""

Progress = Callable[[int, int | None], object]
"""Hears the bytes that have arrived and, where the server tells, how many there will be."""


class DownloadError(Exception):
    """A file that could not be fetched or is not the right one; names its address."""


class _Broken(Exception):  # noqa: N818 - a reason to try again, never seen outside
    pass


def fetch(
    client: httpx.Client,
    address: str,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Progress = lambda _arrived, _total: None,
    wait_seconds: float = FIRST_WAIT_SECONDS,
) -> str:
    """Put the file at `address` under `path`, and return its SHA-256.

    Nothing is put there before it is whole and, where `sha256` is given, has that digest. Raises
    DownloadError when it cannot be had, after which the same call goes on with what has arrived;
    a file with another digest is deleted. OSError where the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    fruitless = 0
    while True:
        before = _size(part)
        try:
            _receive(client, address, part, progress)
            break
        except (httpx.RequestError, _Broken) as error:
            fruitless = fruitless + 1 if _size(part) <= before else 0
            if fruitless == FRUITLESS:
                raise DownloadError(
                    f"{address}: {error or type(error).__name__}, {FRUITLESS} times in a row; "
                    f"{_size(part):,} bytes are kept, and the same command goes on from there"
                ) from error
            time.sleep(wait_seconds * 2**fruitless)
    return _accept(address, part, path, sha256)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _receive(client: httpx.Client, address: str, part: Path, progress: Progress) -> None:
    """One request for what is missing; raises _Broken or a TransportError if some still is."""
    headers = {"Accept-Encoding": "identity"}  # else a byte range would be one of compressed bytes
    validator = _validator_file(part)
    arrived = _size(part)
    if arrived and validator.exists():
        headers |= {"Range": f"bytes={arrived}-", "If-Range": validator.read_text()}
    else:
        arrived = 0
    with client.stream("GET", address, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _Broken("the part that was kept is no beginning of the file")
        _check_status(address, response)
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            if not _continues(response, arrived, validator):
                part.unlink()
                raise _Broken("the server sent another part than was asked for")
        else:
            arrived = 0
            _begin(response, part, validator)
        total = _total(response, arrived)
        with part.open("ab") as file:
            for block in response.iter_raw():
                file.write(block)
                arrived += len(block)
                progress(arrived, total)
    if total is not None and arrived != total:
        raise _Broken(f"{arrived:,} of {total:,} bytes arrived")


def _begin(response: httpx.Response, part: Path, validator: Path) -> None:
    """Forget what was kept, before the validator of the new file is noted."""
    part.unlink(missing_ok=True)
    validator.unlink(missing_ok=True)
    if fresh := _validator(response):
        write_durably(validator, fresh.encode())


def _validator(response: httpx.Response) -> str | None:
    """What `If-Range` may carry: a strong ETag, else the date; None if there is neither."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    date: str | None = response.headers.get("Last-Modified")
    return date


def _continues(response: httpx.Response, arrived: int, validator: Path) -> bool:
    """Whether an answer 206 is the rest of the same file, also from a server without `If-Range`."""
    begin = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if begin is None or int(begin[1]) != arrived or not arrived:
        return False
    fresh = _validator(response)
    return fresh is None or fresh == validator.read_text()


def _check_status(address: str, response: httpx.Response) -> None:
    status = response.status_code
    if status in BUSY:
        raise _Broken(f"the server answers {status} {response.reason_phrase}")
    if not response.is_success:
        hint = "; the corpus may have moved" if status in (404, 410) else ""
        raise DownloadError(f"{address}: {status} {response.reason_phrase}{hint}")


def _total(response: httpx.Response, arrived: int) -> int | None:
    length = response.headers.get("Content-Length")
    return arrived + int(length) if length else None


def _accept(address: str, part: Path, path: Path, sha256: str | None) -> str:
    found = digest(part)
    if sha256 is not None and found != sha256:
        part.unlink()
        _validator_file(part).unlink(missing_ok=True)
        raise DownloadError(
            f"{address}: the file has SHA-256 {found}, but {sha256} is on record; it was deleted. "
            "Who trusts the new file deletes its line in SHA256SUMS first"
        )
    part.replace(path)
    _validator_file(part).unlink(missing_ok=True)
    return found


def _validator_file(part: Path) -> Path:
    return part.with_suffix(".validator")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
