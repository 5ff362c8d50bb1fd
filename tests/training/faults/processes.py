"""Commands in processes that can be killed, forked from one that has imported everything."""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "training.__main__",
        "torch._dynamo",
        "tests.training.faults.interrupted",
        "tests.training.faults.savers",
    ]
)


def start(work, *arguments) -> BaseProcess:
    """Do `work`, a function of a module, in a process of its own."""
    process = _CONTEXT.Process(target=work, args=arguments)
    process.start()
    return process


def end(process: BaseProcess, seconds: float = 120) -> int:
    """Wait for the end and give the exit status, negative if a signal ended it."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"still running after {seconds} s")
    return process.exitcode


def command(arguments: list[object], output: Path, environment: dict[str, str] | None = None):
    """What `python -m training` does; what it prints goes to a file."""
    from training.__main__ import main

    os.environ.update(environment or {})
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["training", *map(str, arguments)]
    main()
