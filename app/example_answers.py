"""True answers of the shipped model as examples of the OpenAPI document.

`docs/true_outputs.py` asks a service for them and writes `app/example_answers.json`.
"""

import json
from importlib import resources
from typing import Any

from app.reply import PROBLEM_MEDIA_TYPE


def add_examples(document: dict[str, Any]) -> None:
    """Put the examples into `document`, each in its place."""
    told: dict[str, dict[str, Any]] = json.loads(
        (resources.files("app") / "example_answers.json").read_text("utf-8")
    )
    for address, answer in told["answers"].items():
        method, path = address.split(" ")
        content = document["paths"][path][method.lower()]["responses"]["200"]["content"]
        content["application/json"]["example"] = answer
    for address, problem in told["problems"].items():
        method, path = address.split(" ")
        content = document["paths"][path][method.lower()]["responses"]["default"]["content"]
        content[PROBLEM_MEDIA_TYPE]["example"] = problem
