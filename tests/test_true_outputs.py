"""What the documents say that their examples print is what they print."""

import json
import re
from pathlib import Path

import pytest

from app.align_schemas import AlignReply
from app.main import create_app
from app.record_schemas import RecordsReply
from app.reply_schemas import AlignmentReply, ProblemReply, TranslateReply
from app.settings import Settings
from docs import true_outputs
from docs.example_answers import ask_for_examples

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"-?\d+\.\d*")


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


def test_the_openapi_document_shows_true_answers(shipped_service):
    committed = json.loads((ROOT / "app" / "example_answers.json").read_text("utf-8"))
    true = ask_for_examples(shipped_service)
    check_same(*(json.dumps(one, indent=0, sort_keys=True) for one in (committed, true)))


def test_every_example_is_in_the_openapi_document():
    paths = create_app(Settings()).openapi()["paths"]
    translated = paths["/v1/translate"]["post"]["responses"]
    TranslateReply.model_validate(translated["200"]["content"]["application/json"]["example"])
    problem = translated["default"]["content"]["application/problem+json"]["example"]
    assert ProblemReply.model_validate(problem).code == "empty_text"
    for path, method, reply in (
        ("/v1/align", "post", AlignReply),
        ("/v1/translations", "get", RecordsReply),
        ("/v1/translations/{id}", "get", TranslateReply),
        ("/v1/translations/{id}/alignment", "get", AlignmentReply),
    ):
        content = paths[path][method]["responses"]["200"]["content"]
        reply.model_validate(content["application/json"]["example"])
    missing = paths["/v1/translations/{id}"]["get"]["responses"]["default"]["content"]
    assert missing["application/problem+json"]["example"]["code"] == "not_found"
    assert "example" not in str(paths["/v1/models"]["get"]["responses"]["default"])
