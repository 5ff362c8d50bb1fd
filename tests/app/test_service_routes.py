"""The addresses that tell about the service."""

import pytest

from app.description_schemas import LimitsReply
from app.errors import PROBLEMS
from app.settings import Settings

pytestmark = pytest.mark.anyio


async def test_models_tell_their_shapes_and_where_they_come_from(client):
    [model] = (await client.get("/v1/models")).json()["models"]
    assert model["name"] == "tiny"
    assert model["alignment_kinds"] == ["attention"]
    assert model["config"]["decoder_units"] == 16
    assert model["metrics"] == {"bleu": 0.0}
    assert model["training"] == {"data": "none"}
    assert len(model["digest"]) == 64


async def test_languages_list_their_targets(client):
    assert (await client.get("/v1/languages")).json() == {
        "languages": [{"code": "en", "targets": ["fr"]}],
        "detection": True,
    }


@pytest.mark.parametrize("settings", [Settings(max_texts=3)])
async def test_limits_are_those_in_force(client, settings):
    limits = (await client.get("/v1/limits")).json()
    assert limits["max_texts"] == 3
    assert limits == settings.model_dump(include=set(limits))
    assert set(limits) == set(LimitsReply.model_fields)


async def test_health_is_ok_once_the_models_are_loaded(client):
    for address in ("/livez", "/readyz"):
        assert (await client.get(address)).json() == {"status": "ok"}


async def test_the_openapi_document_describes_every_error_and_request_field(client):
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert schemas["ProblemReply"]["properties"]["code"]
    for path in document["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
    for name in ("TranslateRequest", "DecodingRequest", "AlignmentRequest"):
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description") or "$ref" in str(schema), field


async def test_the_documentation_loads_nothing_from_elsewhere(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    script = await client.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


def test_every_problem_has_a_client_or_server_status():
    assert all(400 <= problem.status < 600 for problem in PROBLEMS.values())
