"""Every form of an alignment over HTTP, from both addresses that give one."""

import asyncio
import io
import threading

import httpx
import numpy as np
import pytest

from app.form_writer import MOST_PICTURES, PICTURES_AT_ONCE
from app.formats import table
from app.formats.interactive import content_security_policy
from app.formats.table import FORMATS
from app.main import create_app
from app.reply_schemas import AlignmentReply
from app.settings import Settings
from tests.app.test_errors_over_http import check_problem
from tests.app.test_gate import bearer, make_key

pytestmark = pytest.mark.anyio

PAIR = {"source": "The cat sleeps. Yes.", "target": "Le chat dort. Oui."}
ONE = {"segment": 0, "level": "word"}


@pytest.fixture
async def address(client):
    """Of the alignment of a stored translation of two sentences, with an alternative."""
    body = {"text": PAIR["source"], "decoding": {"beam_size": 2, "n_best": 2}}
    answer = (await client.post("/v1/translate", json=body)).json()
    client.answer = answer
    return f"/v1/translations/{answer['id']}/alignment"


def check_headers(response, form):
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == form.content_type
    assert response.headers["Vary"] == "Accept"
    assert f'"alignment.{form.ending}"' in response.headers["Content-Disposition"]
    policy = content_security_policy() if form.name == "html" else "default-src 'none'"
    assert response.headers["Content-Security-Policy"] == f"{policy}; frame-ancestors 'none'"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Model"].startswith("tiny@")
    assert response.content


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
async def test_a_stored_alignment_comes_in_every_form_by_name_and_by_accept(client, address, form):
    by_name = await client.get(address, params={"format": form.name, "segment": 0})
    by_accept = await client.get(
        address, params={"segment": 0}, headers={"Accept": form.media_type}
    )
    check_headers(by_name, form)
    check_headers(by_accept, form)
    assert by_name.content == by_accept.content


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
async def test_a_pair_is_aligned_in_every_form(client, form):
    pair = {"source": "Yes.", "target": "Oui."}
    response = await client.post("/v1/align", json=pair, params={"format": form.name})
    check_headers(response, form)


async def test_json_is_what_the_translation_answered_with(client, address):
    found = AlignmentReply.model_validate((await client.get(address)).json())
    answered = AlignmentReply.model_validate(client.answer["translations"][0]["alignment"])
    assert len(found.segments) == len(answered.segments) == 2
    for one, other in zip(found.segments, answered.segments, strict=True):
        assert one.source_tokens == other.source_tokens
        assert one.target_tokens == other.target_tokens
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-3)


async def test_parts_and_forms_are_picked_by_parameters(client, address):
    async def get(**params):
        response = await client.get(address, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    assert [one["segment"] for one in (await get(segment=1))["segments"]] == [1]
    levels = [one["level"] for one in (await get(level=["word", "piece"], segment=0))["segments"]]
    assert levels == ["word", "piece"]
    assert (await get(form="links"))["segments"][0]["form"] == "links"
    sparse = (await get(form="sparse", threshold=0.9))["segments"][0]
    assert all(value >= 0.9 for value in sparse["values"])
    best, other = await get(), await get(hypothesis=1)
    alternative = client.answer["translations"][0]["alternatives"][0]["alignment"]["segments"][0]
    assert best != other
    assert other["segments"][0]["target_tokens"] == alternative["target_tokens"]
    assert (await get(offset_encoding="utf-16"))["offset_encoding"] == "utf-16"


async def test_matrices_keep_their_shape_as_arrays(client, address):
    response = await client.get(address, params={"format": "npy", **ONE})
    matrix = np.load(io.BytesIO(response.content), allow_pickle=False)
    segment = client.answer["translations"][0]["alignment"]["segments"][0]
    assert matrix.shape == np.array(segment["weights"]).shape


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"format": "pdf"}, 406, "not_acceptable"),
        ({"format": "npy"}, 422, "one_segment_needed"),
        ({"segment": 2}, 422, "validation_failed"),
        ({"hypothesis": 2}, 422, "validation_failed"),
        ({"text": 1}, 422, "validation_failed"),
        ({"kind": "head"}, 422, "alignment_unavailable"),
        ({"max_tokens": 201}, 422, "validation_failed"),
        ({"max_tokens": 0}, 422, "validation_failed"),
        ({"width": 10_000}, 422, "validation_failed"),
        ({"threshold": "nan"}, 422, "validation_failed"),
        ({"threshold": 1.5}, 422, "validation_failed"),
        ({"level": "letter"}, 422, "validation_failed"),
        ({"theme": "neon"}, 422, "validation_failed"),
        ({"segments": 0}, 422, "validation_failed"),
    ],
)
async def test_what_cannot_be_given_is_a_problem(client, address, params, status, code):
    document = check_problem(await client.get(address, params=params))
    assert document["status"] == status
    assert document["code"] == code


async def test_the_forms_are_listed_where_none_is_acceptable(client, address):
    response = await client.get(address, headers={"Accept": "application/pdf"})
    document = check_problem(response)
    assert response.status_code == 406
    assert all(form.media_type in document["detail"] for form in FORMATS)


@pytest.mark.parametrize("settings", [Settings(max_matrix_cells=1_000)], ids=["small"])
async def test_too_large_a_matrix_is_refused_with_the_forms_that_are_not(client):
    long = "the cat sleeps " * 14
    body = {"text": long, "alignment": {"form": "links"}}
    answer = (await client.post("/v1/translate", json=body)).json()
    address = f"/v1/translations/{answer['id']}/alignment"
    document = check_problem(await client.get(address))
    assert document["code"] == "matrix_too_large"
    assert "sparse" in document["detail"]
    assert (await client.get(address, params={"form": "sparse"})).status_code == 200
    assert (await client.get(address, params={"format": "pharaoh"})).status_code == 200
    pair = {"source": long, "target": long}
    assert check_problem(await client.post("/v1/align", json=pair))["code"] == "matrix_too_large"


async def test_a_list_of_texts_needs_the_index_of_one(client):
    body = {"text": ["Yes.", "The cat sleeps."]}
    answer = (await client.post("/v1/translate", json=body)).json()
    address = f"/v1/translations/{answer['id']}/alignment"
    assert check_problem(await client.get(address))["code"] == "one_text_needed"
    found = (await client.get(address, params={"text": 1})).json()
    tokens = [token["text"] for token in found["segments"][0]["source_tokens"]]
    assert tokens == ["The", "cat", "sleeps", "."]


async def test_several_pairs_come_as_json_alone(client):
    body = {"source": ["a", "b"], "target": ["c", "d"]}
    response = await client.post("/v1/align", json=body, params={"format": "svg"})
    assert check_problem(response)["code"] == "one_text_needed"


async def test_alignments_are_as_private_as_their_translations(client):
    ann, bob = bearer(await make_key(client.app)), bearer(await make_key(client.app, owner="bob"))
    answer = (await client.post("/v1/translate", json={"text": "Yes."}, headers=ann)).json()
    address = f"/v1/translations/{answer['id']}/alignment"
    assert (await client.get(address, headers=ann)).status_code == 200
    assert check_problem(await client.get(address, headers=bob))["code"] == "not_found"
    unknown = "/v1/translations/" + "A" * 24 + "/alignment"
    assert check_problem(await client.get(unknown, headers=bob))["code"] == "not_found"


async def test_a_model_without_attention_scores_but_has_no_alignment(plain_models, data_folder):
    app = create_app(Settings(data=data_folder), plain_models)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        scored = await client.post("/v1/align", json=PAIR)
        assert scored.json()["pairs"][0]["alignment"] is None
        drawn = await client.post("/v1/align", json=PAIR, params={"format": "svg"})
        assert check_problem(drawn)["code"] == "alignment_unavailable"
        answer = (await client.post("/v1/translate", json={"text": "Yes."})).json()
        stored = await client.get(f"/v1/translations/{answer['id']}/alignment")
        assert check_problem(stored)["code"] == "alignment_unavailable"


async def test_a_picture_that_is_asked_for_at_the_very_end_is_refused_as_all_else(client, address):
    client.app.state.service.forms.close()
    for form, status in (("png", 503), ("csv", 200)):
        response = await client.get(address, params={"format": form})
        assert response.status_code == status
    assert check_problem(await client.get(address, params={"format": "png"}))["code"] == "not_ready"


async def test_two_pictures_are_drawn_at_once_and_a_few_wait(client, address, monkeypatch):
    drawing, most, go_on = 0, 0, threading.Event()
    lock = threading.Lock()

    def draw(_aligned, _options):
        nonlocal drawing, most
        with lock:
            drawing += 1
            most = max(most, drawing)
        go_on.wait(60)
        with lock:
            drawing -= 1
        return b"picture"

    png = table.choose_format("png", None)
    slow = table.Format("png", "image/png", draw, is_text=False, is_drawn=True)
    monkeypatch.setattr(
        "app.alignment_routes.choose_format",
        lambda name, accept: slow if name == "png" else table.choose_format(name, accept),
    )
    requests = [
        asyncio.create_task(client.get(address, params={"format": png.name}))
        for _ in range(MOST_PICTURES + 3)
    ]
    refused, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
    assert (await client.get(address, params={"format": "pharaoh"})).status_code == 200
    go_on.set()
    codes = sorted([response.status_code for response in await asyncio.gather(*requests)])
    assert codes == [200] * MOST_PICTURES + [503] * 3
    assert all(check_problem(task.result())["code"] == "overloaded" for task in refused)
    assert most <= PICTURES_AT_ONCE
