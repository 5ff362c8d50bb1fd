"""Runs the examples of documents and writes what they print: `docs/true_outputs.py ADDRESS`.

An example is a block of Python; the block of text behind it is what it prints. All examples of
a document are one program. ADDRESS is that of a service with the shipped model.
"""

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
DOCUMENTS = ("client.md",)
SHOWN_ADDRESS = "http://127.0.0.1:8000"
EXAMPLE = re.compile(r"(^```python\n(.*?)^```\n)(\n```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE)


def with_true_outputs(document: str, address: str) -> str:
    """`document` with what its examples print against the service at `address`."""
    names: dict[str, object] = {}

    def run(example: re.Match[str]) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(example[2].replace(SHOWN_ADDRESS, address), names)  # noqa: S102
        if example[3] is None:
            return example[0]
        return f"{example[1]}\n```text\n{printed.getvalue()}```\n"

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return EXAMPLE.sub(run, document)


def main() -> None:
    """Write them all."""
    if len(sys.argv) != 2:
        sys.exit("usage: true_outputs.py ADDRESS")
    for name in DOCUMENTS:
        path = FOLDER / name
        path.write_text(with_true_outputs(path.read_text("utf-8"), sys.argv[1]), "utf-8")


if __name__ == "__main__":
    main()
