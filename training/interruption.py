"""Two things that guard a run folder: a lock, and signals that end training between updates."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from types import FrameType

INTERRUPTED = 75
"""Exit status of work that a signal stopped after its state was saved (EX_TEMPFAIL)."""


class RunLockedError(Exception):
    """Another process trains in this run folder; says which."""


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """SIGTERM and SIGINT set a flag that the loop polls; a second one ends the process at once."""
    received = False

    def receive(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (signal's signature)
        nonlocal received
        if received:
            raise SystemExit(128 + number)
        received = True

    before = {number: signal.signal(number, receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; RunLockedError if another one does.

    The kernel drops the lock when a process dies, so a killed run leaves nothing to clean up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise RunLockedError(
                f"{folder} is in use by {file.read().strip() or 'another process'}; "
                "wait for it, stop it, or give this run a folder of its own"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
