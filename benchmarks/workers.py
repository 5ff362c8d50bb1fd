"""Systems under measurement, each in processes of its own that wait for jobs on standard input.

A job is one line of JSON, its answer another: `{"seconds": …}`, taken inside the worker around the
work alone. Between jobs a worker blocks in `read`, so systems can be measured in turn.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
JOEY_ENVIRONMENT = HERE.parent / ".venv-joey"
JOEY_PACKAGES = [
    "torch==2.13.0",
    "sentencepiece==0.2.0",
    "setuptools<81",
    "importlib_metadata",
    "joeynmt==2.3.0",
]
"""Joey NMT 2.3.0 and what it needs beside current torch."""


def joey_python() -> str:
    """The interpreter of Joey NMT's own environment, which is made on first use."""
    python = JOEY_ENVIRONMENT / "bin" / "python"
    if not (JOEY_ENVIRONMENT / "complete").exists():
        print(f"Installing Joey NMT 2.3.0 into {JOEY_ENVIRONMENT.name} …", file=sys.stderr)
        venv.create(JOEY_ENVIRONMENT, with_pip=True, clear=True)
        for package in JOEY_PACKAGES:
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
        (JOEY_ENVIRONMENT / "complete").touch()
    return str(python)


class Worker:
    """One process of one system with a fixed number of threads; it trains on `device`."""

    def __init__(self, system: str, threads: int, device: str = "cpu") -> None:
        python = joey_python() if system == "joey" else sys.executable
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": "" if system == "joey" else str(HERE.parent),
            "PYTHONWARNINGS": "ignore",
        }
        self._process = subprocess.Popen(
            [python, str(HERE / f"{system}_worker.py"), str(threads), device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def start(self, job: dict[str, Any]) -> None:
        """Hand over a job without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """Wait for the answer; RuntimeError if the worker died."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"worker ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Start a job and wait for it."""
        self.start(job)
        return self.finish()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def serve(handlers: dict[str, Any]) -> None:
    """The worker's side: answer jobs until standard input ends."""
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(handlers[job.pop("task")](**job)), flush=True)
