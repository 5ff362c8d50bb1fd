"""Asks a service of the shipped model for the answers that its OpenAPI document shows."""

import json
from typing import Any

import httpx

from app.align_schemas import AlignRequest
from app.schemas import TranslateRequest

Document = dict[str, Any]

SHOWN_ID = "OPpYF1ImyJaGRhJXJH_v4crH"
SHOWN_REQUEST_ID = "4f1c9a0e7b2d4c58"
SHOWN_TIMES = {"created_at": "2026-11-24T10:00:00Z", "expires_at": "2026-12-24T10:00:00Z"}


def ask_for_examples(address: str) -> Document:
    """The answers to the requests that the document shows, and a problem for each that sends one.

    What differs from one time to the next is replaced: ids and times.
    """
    translate, align = example_of(TranslateRequest), example_of(AlignRequest)
    with httpx.Client(base_url=address) as http:
        made = http.post("/v1/translate", json=translate).json()
        stored = f"/v1/translations/{made['id']}"
        answers = {
            "POST /v1/translate": made,
            "POST /v1/align": http.post("/v1/align", json=align).json(),
            "GET /v1/translations/{id}": http.get(stored).json(),
            "GET /v1/translations/{id}/alignment": http.get(f"{stored}/alignment").json(),
            "GET /v1/translations": http.get("/v1/translations?limit=1").json(),
            "GET /v1/models": http.get("/v1/models").json(),
            "GET /v1/languages": http.get("/v1/languages").json(),
            "GET /v1/limits": http.get("/v1/limits").json(),
        }
        problems = {
            "POST /v1/translate": http.post("/v1/translate", json={**translate, "text": ""}).json(),
            "POST /v1/align": http.post("/v1/align", json={**align, "split": "no"}).json(),
            "GET /v1/translations/{id}": http.get("/v1/translations/none").json(),
        }
        http.delete(stored)
    return steady({"answers": answers, "problems": problems})


def example_of(request: type[TranslateRequest | AlignRequest]) -> Document:
    """The first request that the document shows."""
    extra = request.model_config["json_schema_extra"]
    assert isinstance(extra, dict)
    example = json.loads(json.dumps(extra))["examples"][0]
    assert isinstance(example, dict)
    return example


def steady(value: Any) -> Any:  # noqa: ANN401
    """`value` with ids and times that are always the same."""
    if isinstance(value, list):
        return [steady(one) for one in value]
    if not isinstance(value, dict):
        return value
    shown = {"request_id": SHOWN_REQUEST_ID, "next_cursor": None, **SHOWN_TIMES}
    changed = {name: shown.get(name, steady(one)) for name, one in value.items()}
    if isinstance(value.get("id"), str):
        changed["id"] = SHOWN_ID
    return changed
