"""How the OpenAPI document tells that every address can answer with a problem."""

from typing import Any

PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Any error, as RFC 9457 tells it. `code` is stable.",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemReply"}}
        },
    }
}
