"""Bad requests: each gets problem+json with a stable code and nothing of the caller's text."""

import json

import httpx
import pytest

from app.admission import Claim, Load
from app.errors import PROBLEMS
from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.anyio

CANARY = "Zanzibar-canary"


def check_problem(response):
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code == PROBLEMS[document["code"]].status
    assert document["type"] == f"urn:softalign:problem:{document['code']}"
    assert document["title"] == PROBLEMS[document["code"]].title
    assert isinstance(document["detail"], str)
    assert document["request_id"] == response.headers["x-request-id"]
    assert CANARY not in response.text
    assert len(response.content) < 6_000
    return document


async def post(client, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | headers
    return await client.post("/v1/translate", content=content, headers=headers)


async def refused(client, body, **headers):
    return check_problem(await post(client, body, **headers))


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"text": ""}, "/text", "empty_text"),
        ({"text": " \n\u200b\ufeff"}, "/text", "empty_text"),
        ({"text": [f"{CANARY}.", " "]}, "/text/1", "empty_text"),
        ({"text": f"{CANARY}\0"}, "/text", "control_character"),
        ({"text": []}, "/text", "too_short"),
        ({"text": 1}, "/text", "text_type"),
        ({"text": {"a": CANARY}}, "/text", "text_type"),
        ({"text": ["a", 1]}, "/text/1", "string_type"),
        ({"text": ["a"] * 33}, "/text", "too_many_texts"),
        ({"text": ["a", "b" * 2_001]}, "/text/1", "text_too_long"),
        ({}, "/text", "missing"),
        ({"text": "a", "txet": CANARY}, "/txet", "extra_forbidden"),
        ({"text": "a", "model": "other"}, "/model", "unknown_model"),
        ({"text": "a", "model": "../tiny"}, "/model", "unknown_model"),
        ({"text": "a", "target_lang": CANARY}, "/target_lang", "unknown_language_pair"),
        ({"text": "a", "target_lang": "EN"}, "/target_lang", "unknown_language_pair"),
        ({"text": "a", "source_lang": "fr"}, "/source_lang", "unknown_language_pair"),
        ({"text": "a", "decoding": {"beam_size": 9}}, "/decoding/beam_size", "limit_exceeded"),
        ({"text": "a", "decoding": {"beam_size": 2**64}}, "/decoding/beam_size", "limit_exceeded"),
        ({"text": "a", "decoding": {"beam_size": 0}}, "/decoding/beam_size", "greater_than_equal"),
        ({"text": "a", "decoding": {"beam_size": True}}, "/decoding/beam_size", "int_type"),
        ({"text": "a", "decoding": {"beam_size": "5"}}, "/decoding/beam_size", "int_type"),
        ({"text": "a", "decoding": {"beam_size": 5.0}}, "/decoding/beam_size", "int_type"),
        ({"text": "a", "decoding": {"max_length": 601}}, "/decoding/max_length", "limit_exceeded"),
        (
            {"text": "a", "decoding": {"beam_size": 2, "n_best": 3}},
            "/decoding",
            "n_best_above_beam",
        ),
        (
            {"text": "a", "decoding": {"length_penalty": -0.1}},
            "/decoding/length_penalty",
            "greater_than_equal",
        ),
        ({"text": "a", "alignment": {"level": "line"}}, "/alignment/level", "literal_error"),
        ({"text": "a", "alignment": {"level": ["word", 1]}}, "/alignment/level/1", "literal_error"),
        ({"text": "a", "alignment": {"form": CANARY}}, "/alignment/form", "literal_error"),
        ({"text": "a", "alignment": {"threshold": 0}}, "/alignment/threshold", "greater_than"),
        ({"text": "a", "include": ["matrix"]}, "/include/0", "literal_error"),
        ({"text": "a", "deadline_ms": -1}, "/deadline_ms", "greater_than_equal"),
        ([], "", "model_attributes_type"),
        (None, "", "model_attributes_type"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(client, fields, pointer, code):
    problem = await refused(client, fields)
    assert problem["status"] == 422
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]
    assert problem["errors"][0]["message"] in problem["detail"]


async def test_every_field_is_named_at_once_and_not_more_than_twenty(client):
    problem = await refused(client, {"text": [1, None, "fine"], "model": 1})
    assert problem["code"] == "validation_failed"
    assert [error["pointer"] for error in problem["errors"]] == ["/text/0", "/text/1", "/model"]
    problem = await refused(client, {f"x{i}": 1 for i in range(256)})
    assert len(problem["errors"]) == 20


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"text": "a\\ud800b"}', "invalid_unicode"),
        (b'{"text": "a", "a\\ud800b": 1}', "invalid_unicode"),
        (b'{"text": "\xed\xa0\x80"}', "invalid_json"),
        (b'{"text": "a", "decoding": {"length_penalty": NaN}}', "invalid_json"),
        (b'{"text": "a", "decoding": {"length_penalty": 1e999}}', "invalid_json"),
        (b'{"text": "a", "text": "b"}', "duplicate_key"),
        (b"[" * 100_000, "json_too_deep"),
        (b'{"text": [' + b"0," * 256 + b"0]}", "json_too_wide"),
        (b"", "invalid_json"),
        (b"\xff\xfe{\x00}\x00", "invalid_json"),
        (b"x" * 262_145, "body_too_large"),
    ],
)
async def test_a_body_that_is_not_plain_json_is_refused(client, body, code):
    assert (await refused(client, body))["code"] == code


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json; charset=latin-1",
        "application/jsonp",
    ],
)
async def test_other_media_types_are_refused(client, media_type):
    problem = await refused(client, {"text": CANARY}, **{"Content-Type": media_type})
    assert problem["code"] == "unsupported_media_type"


async def test_utf8_may_be_named(client):
    media_type = {"Content-Type": "application/json; charset=UTF-8"}
    assert (await post(client, {"text": "Yes."}, **media_type)).status_code == 200


async def test_unknown_addresses_and_methods_are_problems(client):
    assert check_problem(await client.get("/v1/nothing"))["code"] == "not_found"
    assert check_problem(await client.get(f"/{CANARY}"))["code"] == "not_found"
    response = await client.get("/v1/translate")
    assert check_problem(response)["code"] == "method_not_allowed"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("/v1/translate", "POST"),
        ("/v1/models", "GET, HEAD"),
        ("/v1/translations", "DELETE, GET, HEAD"),
        ("/v1/translations/abc", "DELETE, GET, HEAD"),
        ("/page/page.js", "GET, HEAD"),
    ],
)
async def test_every_method_of_an_address_is_allowed_by_name(client, address, allowed):
    response = await client.patch(address)
    assert check_problem(response)["code"] == "method_not_allowed"
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("address", ["/livez", "/readyz", "/v1/models", "/docs", "/v1/nothing"])
async def test_what_can_be_got_can_be_asked_for_its_head(client, address):
    got, head = await client.get(address), await client.head(address)
    assert head.status_code == got.status_code
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.content == b""


@pytest.mark.parametrize(
    ("address", "pointer", "code"),
    [
        ("/v1/translations?limit=ten", "/limit", "int_parsing"),
        ("/v1/translations?limit=0", "/limit", "greater_than_equal"),
        ("/v1/translations?source_lang=!", "/source_lang", "string_pattern_mismatch"),
        ("/v1/translations/abc/alignment?threshold=nan", "/threshold", "finite_number"),
        ("/v1/translations/abc/alignment?level=word&level=line", "/level/1", "literal_error"),
        ("/v1/translations/abc/alignment?form=x", "/form", "literal_error"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(client, address, pointer, code):
    problem = check_problem(await client.get(address))
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]
    assert "cannot be used" not in problem["errors"][0]["message"]


async def test_parameters_of_an_address_that_takes_none_are_refused(client):
    for response in (
        await client.get("/v1/models?verbose=1&verbose=2"),
        await client.post("/v1/translate?verbose=1", json={"text": "a"}),
        await client.delete("/v1/translations/abc?verbose=1"),
    ):
        [error] = check_problem(response)["errors"]
        assert (error["pointer"], error["code"]) == ("/verbose", "extra_forbidden")


async def test_parameters_are_named_beside_a_body(client):
    body = {"source": "a", "target": "b"}
    problem = check_problem(await client.post("/v1/align?segment=1", json=body))
    assert problem["errors"][0]["pointer"] == "/segment"
    problem = await refused(client, {"text": "a"}, **{"Idempotency-Key": "two words"})
    assert problem["errors"][0]["pointer"] == "/idempotency-key"


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({"txt": "a"}, "text"),
        ({"decoding": {"beam": 2}}, "beam_size"),
        ({"alignment": {"offset": "utf-8"}}, "offset_encoding"),
        ({"zzz": 1}, None),
        ({"x" * 100_000: 1}, None),
    ],
)
async def test_an_unknown_name_is_told_the_nearest(client, fields, meant):
    problem = await refused(client, {"text": "a"} | fields)
    message = problem["errors"][0]["message"]
    assert ("Did you mean" in message) == (meant is not None)
    assert meant is None or f"`{meant}`" in message


async def test_an_unknown_parameter_is_told_the_nearest(client):
    problem = check_problem(await client.get("/v1/translations/abc/alignment?segments=1"))
    assert problem["errors"][0]["message"].endswith("Did you mean `segment`?")


async def test_a_bug_in_a_handler_is_a_problem_too(client, monkeypatch):
    monkeypatch.setattr(client.app.state.service, "translate", None)
    assert check_problem(await post(client, {"text": CANARY}))["code"] == "internal_error"


@pytest.mark.parametrize("settings", [Settings(max_text_tokens=8, max_request_tokens=12)])
async def test_texts_of_too_many_pieces_are_refused_by_name(client):
    problem = await refused(client, {"text": ["Yes.", f"{CANARY} is an island."]})
    assert problem["code"] == "text_too_long"
    assert problem["errors"][0]["pointer"] == "/text/1"
    problem = await refused(client, {"text": ["Yes."] * 8})
    assert problem["errors"][0]["pointer"] == "/text"


@pytest.mark.parametrize("settings", [Settings(max_matrix_cells=1_000)])
async def test_a_matrix_above_the_limit_proposes_another_form(client):
    text = "The cat sleeps on the sofa and dreams of fish. " * 3
    problem = await refused(client, {"text": text, "alignment": {"level": ["word", "piece"]}})
    assert problem["code"] == "matrix_too_large"
    assert "sparse" in problem["detail"]
    sparse = await post(client, {"text": text, "alignment": {"form": "sparse"}})
    assert sparse.status_code == 200


async def test_a_deadline_that_passes_is_504(client):
    text = "The cat sleeps on the sofa and dreams of fish. " * 20
    problem = await refused(client, {"text": text, "deadline_ms": 1})
    assert problem["code"] == "deadline_exceeded"
    assert (await post(client, {"text": "Yes."})).status_code == 200


@pytest.mark.parametrize("settings", [Settings(max_pending_sentences=1)])
async def test_a_full_service_says_when_to_try_again(client, settings):
    claim = Claim("somebody", "interactive", Load(1, 5), work=0.0, seconds=1.0)
    with client.app.state.service.admission.reserve(claim):
        response = await post(client, {"text": CANARY})
    assert check_problem(response)["code"] == "overloaded"
    assert 1 <= int(response.headers["retry-after"]) <= settings.retry_after_seconds
    assert (await post(client, {"text": "Yes."})).status_code == 200


async def test_a_service_whose_worker_ended_is_not_ready(client):
    await client.app.state.service.stop()
    response = await client.get("/readyz")
    assert check_problem(response)["code"] == "not_ready"
    assert "retry-after" in response.headers
    assert check_problem(await post(client, {"text": CANARY}))["code"] == "not_ready"
    assert (await client.get("/livez")).status_code == 200


async def test_a_model_without_attention_gives_no_alignment(settings, plain_models):
    app = create_app(settings, plain_models)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        [translation] = (await post(client, {"text": "Yes."})).json()["translations"]
        assert translation["alignment"] is None
        problem = await refused(client, {"text": "Yes.", "alignment": {}})
        assert problem["code"] == "alignment_unavailable"
