"""Every limit of an operator, one below it, at it, and one above it, over HTTP.

A request of a known size is sent to services whose limit is one more than that, the same, and one
less: it is answered twice, and refused the third time.
"""

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from app.errors import PROBLEMS
from app.json_route import MOST_MEMBERS
from app.main import create_app
from app.settings import Settings
from app.storage.record import RecordTooLargeError, pack_record
from tests.app.storage.example_records import make_record
from tests.app.test_gate import bearer, make_key

pytestmark = pytest.mark.anyio

GREEDY = {"beam_size": 1, "max_length": 8}
ORDINARY = {"text": "The cat sleeps.", "decoding": GREEDY, "store": False}
TEXT = "The cat sleeps. The dog runs to the river."


@asynccontextmanager
async def service(models, folder, **settings):
    chosen = Settings(data=folder, max_rows=8, **settings)
    app = create_app(chosen, models)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        client.app = app
        yield client


def post(client, body, **fields):
    content = body if isinstance(body, bytes) else json.dumps({**ORDINARY, **body}).encode()
    headers = {"Content-Type": "application/json", **fields}
    return client.post("/v1/translate", content=content, headers=headers)


async def sized_body(client, size):
    return await post(client, json.dumps(ORDINARY).ljust(size).encode())


async def sized_headers(client, size):
    request = client.build_request("GET", "/v1/models", headers={"x": ""})
    used = sum(len(name) + len(value) for name, value in request.headers.raw)
    return await client.get("/v1/models", headers={"x": "y" * (size - used)})


async def some_headers(client, count):
    request = client.build_request("GET", "/v1/models")
    more = {f"x-{number}": "y" for number in range(count - len(request.headers.raw))}
    return await client.get("/v1/models", headers=more)


async def sized_target(client, size):
    address = "/v1/translations?limit="
    return await client.get(address + "1".zfill(size + 1 - len(address)))  # `?` does not count


async def nested_body(client, depth):
    # Two of them are the object and its `include`; what is wrong with it comes after its depth.
    inner = "[" * (depth - 2) + "]" * (depth - 2)
    response = await post(client, f'{{"text": "Yes.", "include": [{inner}]}}'.encode())
    return response if response.json()["code"] == "json_too_deep" else _accepted(response)


def _accepted(response):
    """Let an answer that is not about the limit pass for one of 200."""
    assert response.status_code == 422
    response.status_code = 200
    return response


async def some_texts(client, count):
    return await post(client, {"text": ["Yes."] * count})


async def characters(client, count):
    return await post(client, {"text": "é" * count})


async def source_tokens(client, _):
    return await post(client, {"text": TEXT})


async def tokens_of_all(client, _):
    return await post(client, {"text": [TEXT, TEXT]})


async def beam(client, size):
    return await post(client, {"decoding": {"beam_size": size, "max_length": 8}})


async def output(client, size):
    return await post(client, {"decoding": {"beam_size": 1, "max_length": size}})


async def page(client, size):
    return await client.get("/v1/translations", params={"limit": size})


async def cells(client, _):
    return await post(client, {"text": [TEXT] * 8, "alignment": {"level": "piece"}})


async def requests_of_a_key(client, count):
    key = bearer(await make_key(client.app))
    for _ in range(count):
        response = await client.get("/v1/models", headers=key)
    return response


async def bad_keys(client, count):
    await make_key(client.app)
    for _ in range(count):
        response = await client.get("/v1/models", headers={"Authorization": "Bearer wrong"})
    response.status_code = 200 if response.status_code == 401 else response.status_code
    return response


@dataclass
class Limit:
    setting: str
    ask: object
    size: int | None
    """Of the request; None where the first answer tells it."""
    code: str


LIMITS = [
    Limit("max_body_bytes", sized_body, 1_500, "body_too_large"),
    Limit("max_header_bytes", sized_headers, 1_500, "header_too_large"),
    Limit("max_header_fields", some_headers, 12, "header_too_large"),
    Limit("max_target_bytes", sized_target, 300, "target_too_long"),
    Limit("max_json_depth", nested_body, 7, "json_too_deep"),
    Limit("max_texts", some_texts, 3, "too_many_texts"),
    Limit("max_text_characters", characters, 50, "text_too_long"),
    Limit("max_text_tokens", source_tokens, None, "text_too_long"),
    Limit("max_request_tokens", tokens_of_all, None, "text_too_long"),
    Limit("max_beam_size", beam, 3, "limit_exceeded"),
    Limit("max_output_tokens", output, 12, "limit_exceeded"),
    Limit("max_matrix_cells", cells, None, "matrix_too_large"),
    Limit("max_page_size", page, 5, "limit_exceeded"),
    Limit("key_requests_per_minute", requests_of_a_key, 3, "rate_limited"),
    Limit("key_requests_per_second", requests_of_a_key, 3, "rate_limited"),
    Limit("failed_keys_per_minute", bad_keys, 3, "rate_limited"),
]


async def measured(limit, models, folder):
    """The size of the request, as the service itself tells it."""
    least = {"max_matrix_cells": 1_000} if limit.setting == "max_matrix_cells" else {}
    async with service(models, folder, **least) as client:
        body = (await limit.ask(client, 0)).json()
    if least:
        return int(re.search(r"has (\d+) weights", body["detail"])[1])
    return body["usage"]["source_tokens"]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.setting)
async def test_a_limit_holds_exactly(limit, tiny_models, tmp_path):
    size = limit.size or await measured(limit, tiny_models, tmp_path / "measured")
    for above in (1, 0):
        folder = tmp_path / f"data{above}"
        async with service(tiny_models, folder, **{limit.setting: size + above}) as client:
            response = await limit.ask(client, size)
            assert response.status_code == 200, response.text
    async with service(tiny_models, tmp_path / "data", **{limit.setting: size - 1}) as client:
        response = await limit.ask(client, size)
        assert response.json()["code"] == limit.code
        assert response.status_code == PROBLEMS[limit.code].status


def test_a_record_is_stored_up_to_its_size():
    record = make_record()
    with pytest.raises(RecordTooLargeError) as refused:
        pack_record(record, 1)
    size = int(re.search(r"takes (\d+) bytes", refused.value.detail)[1])
    assert pack_record(record, size + 1) == pack_record(record, size)
    with pytest.raises(RecordTooLargeError):
        pack_record(record, size - 1)


async def test_members_of_a_body_have_a_fixed_limit(client):
    for count, code in ((MOST_MEMBERS, "too_many_texts"), (MOST_MEMBERS + 1, "json_too_wide")):
        response = await post(client, {"text": ["Yes."] * count})
        assert response.json()["code"] == code


async def test_n_best_goes_up_to_the_beam(client):
    for n_best, status in ((2, 200), (3, 200), (4, 422)):
        decoding = {"beam_size": 3, "n_best": n_best, "max_length": 8}
        assert (await post(client, {"decoding": decoding})).status_code == status


@pytest.mark.parametrize(("field", "most"), [("deadline_ms", 600_000), ("ttl", 2**31 - 1)])
async def test_numbers_that_only_shorten_have_bounds_too(client, field, most):
    for number, status in ((0, 422), (1_000, 200), (most - 1, 200), (most, 200), (most + 1, 422)):
        response = await post(client, {field: number})
        assert response.status_code == status, (number, response.text)


async def test_the_limits_are_published(client):
    published = (await client.get("/v1/limits")).json()
    settings = client.app.state.settings
    for limit in LIMITS:
        if limit.setting in published:
            assert published[limit.setting] == getattr(settings, limit.setting)
    assert {"max_body_bytes", "max_texts", "max_text_characters"} <= published.keys()
