"""Runs the examples of documents and writes what they print.

    PYTHONPATH=. python docs/true_outputs.py ADDRESS

An example is a block of Python, or of one command `python examples/…` or `curl`; the block of text
or JSON behind it is what it prints. All Python of a document is one program, and commands without
such a block are not run. ADDRESS is that of a service with the shipped model.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from docs.example_answers import ask_for_examples

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("docs/api.md", "docs/client.md", "examples/README.md")
SHOWN_ADDRESS = "http://127.0.0.1:8000"
EXAMPLE = re.compile(
    r"(^```(python|sh)\n(.*?)^```\n)(\n```(?:text|json)\n.*?^```\n)?", re.DOTALL | re.MULTILINE
)


def with_true_outputs(document: str, address: str) -> str:
    """`document` with what its examples print against the service at `address`."""
    names: dict[str, object] = {}

    def run(example: re.Match[str]) -> str:
        block, language, code, output = example.groups()
        printed = ""
        if language == "python" and not code.startswith(">>>"):  # these are tested by themselves
            printed = run_python(code.replace(SHOWN_ADDRESS, address), names)
        if output is None:
            return block
        command = shlex.split(code.replace(SHOWN_ADDRESS, address)) if language == "sh" else []
        if command:
            printed = ask(command) if command[0] == "curl" else run_program(command, address)
        opening = output.strip().partition("\n")[0]
        return f"{block}\n{opening}\n{printed}```\n"

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return EXAMPLE.sub(run, document)


def run_python(code: str, names: dict[str, object]) -> str:
    """What `code` prints, with and into the variables of the blocks before it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # noqa: S102
    return printed.getvalue()


def run_program(command: list[str], address: str) -> str:
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


def ask(command: list[str]) -> str:
    """What `curl -s ADDRESS -H … -d BODY` prints of JSON, with digests shortened."""
    [address] = [one for one in command if one.startswith("http")]
    body = command[command.index("-d") + 1]
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(address, content=body, headers=headers).raise_for_status()
    told = json.dumps(answer.json(), ensure_ascii=False)
    return re.sub(r'("digest": "\w{8})\w+', r"\1…", told) + "\n"


def main() -> None:
    """Write them all, and the answers that the OpenAPI document shows."""
    if len(sys.argv) != 2:
        sys.exit("usage: PYTHONPATH=. python docs/true_outputs.py ADDRESS")
    examples = json.dumps(ask_for_examples(sys.argv[1]), indent=1, ensure_ascii=False)
    (ROOT / "app" / "example_answers.json").write_text(f"{examples}\n", "utf-8")
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(with_true_outputs(path.read_text("utf-8"), sys.argv[1]), "utf-8")
    sys.stdout.write("Now run clients/typescript/generate: the OpenAPI document has changed.\n")


if __name__ == "__main__":
    main()
