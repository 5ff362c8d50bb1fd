"""Runs the examples of documents and writes what they print: `docs/true_outputs.py ADDRESS`.

An example is a block of Python, or of one command `python examples/…`; the block of text behind it
is what it prints. All Python of a document is one program, and commands without such a block are
not run. ADDRESS is that of a service with the shipped model.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("docs/client.md", "examples/README.md")
SHOWN_ADDRESS = "http://127.0.0.1:8000"
EXAMPLE = re.compile(
    r"(^```(python|sh)\n(.*?)^```\n)(\n```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE
)


def with_true_outputs(document: str, address: str) -> str:
    """`document` with what its examples print against the service at `address`."""
    names: dict[str, object] = {}

    def run(example: re.Match[str]) -> str:
        block, language, code, output = example.groups()
        printed = ""
        if language == "python":
            printed = run_python(code.replace(SHOWN_ADDRESS, address), names)
        elif output is not None:
            printed = run_command(shlex.split(code), address)
        return block if output is None else f"{block}\n```text\n{printed}```\n"

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return EXAMPLE.sub(run, document)


def run_python(code: str, names: dict[str, object]) -> str:
    """What `code` prints, with and into the variables of the blocks before it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # noqa: S102
    return printed.getvalue()


def run_command(command: list[str], address: str) -> str:
    """What a program of the examples prints."""
    _, program, *arguments = command
    done = subprocess.run(
        [sys.executable, program, *arguments, "--address", address],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.stdout


def main() -> None:
    """Write them all."""
    if len(sys.argv) != 2:
        sys.exit("usage: true_outputs.py ADDRESS")
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(with_true_outputs(path.read_text("utf-8"), sys.argv[1]), "utf-8")


if __name__ == "__main__":
    main()
