"""What the documents say that their examples print is what they print."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"-?\d+\.\d*")


def load_program():
    path = ROOT / "docs" / "true_outputs.py"
    spec = importlib.util.spec_from_file_location("true_outputs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


true_outputs = load_program()


def check_same(shown: str, true: str) -> None:
    """Equal, but for what another processor makes of the same weights."""
    how = "run docs/true_outputs.py against a service of the shipped model"
    assert NUMBER.sub("#", shown) == NUMBER.sub("#", true), how
    numbers = [[float(one) for one in NUMBER.findall(text)] for text in (shown, true)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.11), how


@pytest.mark.parametrize("name", true_outputs.DOCUMENTS)
def test_examples_print_what_the_document_says(name, shipped_service):
    shown = (ROOT / name).read_text("utf-8")
    check_same(shown, true_outputs.with_true_outputs(shown, shipped_service))


@pytest.mark.parametrize("false", ["Le chat noir mange.", "Le chat noir dort. 0.5"])
def test_another_output_is_noticed(false):
    with pytest.raises(AssertionError):
        check_same(false, "Le chat noir dort. 0.9")


def test_outputs_are_written_behind_their_examples():
    document = "A\n```python\nx = 1\n```\nB\n```python\nprint(x + 1)\n```\n\n```text\nold\n```\nC\n"
    written = true_outputs.with_true_outputs(document, "http://127.0.0.1:1")
    assert written == document.replace("old", "2")
