"""Two things that guard a run folder: a lock, and signals that end work where nothing is lost."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from errno import ENOTDIR
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

INTERRUPTED = 75
"""Exit status of work that a signal stopped after its state was saved (EX_TEMPFAIL)."""


class RunLockedError(Exception):
    """Another process trains in this run folder; says which."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """A signal came in the midst of work that can be abandoned."""


class StopSignals:
    """Whether a signal has asked for an end; call it to know."""

    def __init__(self) -> None:
        self._received = False
        self._abandoning = False

    def __call__(self) -> bool:
        return self._received

    @contextmanager
    def abandoning(self) -> Iterator[None]:
        """Inside, a signal raises Interrupted wherever the program stands, one before at once.

        For long work that leaves nothing half done: preparing a corpus, validating.
        """
        self._abandoning = True
        try:
            if self._received:
                raise Interrupted
            yield
        finally:
            self._abandoning = False

    def receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (signal's own)
        """Take a signal; SystemExit if it is the second one."""
        if self._received:
            raise SystemExit(128 + number)
        self._received = True
        if self._abandoning:
            raise Interrupted


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """SIGTERM and SIGINT set a flag that the loop polls; a second one ends the process at once."""
    stop = StopSignals()
    before = {
        number: signal.signal(number, stop.receive) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_background(work: Callable[[], T]) -> T:
    """Do long work of a library in C++ in a thread of its own, and wait for it.

    Python hears signals between its own instructions only, so the main thread must not be in that
    work. Whatever a signal's handler raises comes out here; the thread is then abandoned.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result()


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; RunLockedError if another one does.

    Raises NotADirectoryError where it is no folder. The kernel drops the lock when a process dies,
    so a killed run leaves nothing to clean up.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(ENOTDIR, "not a folder", str(folder)) from error
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


@contextmanager
def work_to_abandon(folder: Path) -> Iterator[None]:
    """Hold the folder for work that leaves nothing half done: a signal raises Interrupted in it."""
    with run_lock(folder), stop_signals() as stop, stop.abandoning():
        yield
