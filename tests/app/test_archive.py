"""Stored translations over HTTP: kept, fetched, listed, deleted, and nobody else's."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest
import torch

from app.errors import StorageFullError, StorageUnavailableError
from app.rendering import aligned_text
from app.settings import Settings
from app.storage.clock import SECOND
from app.storage.record import new_record_id
from app.stored_translation import restore
from tests.app.test_gate import assert_refused, bearer, from_elsewhere, make_key

pytestmark = pytest.mark.anyio

TEXT = "The cat sleeps. It dreams of fish 🐟."


async def translate(client, text=TEXT, headers=None, **fields):
    response = await client.post("/v1/translate", json={"text": text, **fields}, headers=headers)
    assert response.status_code == 200, response.text
    return response


async def listed(client, **query):
    response = await client.get("/v1/translations", params=query)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
async def owners(client):
    """Headers of two owners with a record each: (headers, id) of one, headers of the other."""
    ann, bob = bearer(await make_key(client.app)), bearer(await make_key(client.app, owner="bob"))
    record_id = (await translate(client, headers=ann)).json()["id"]
    return ann, record_id, bob


async def test_an_answer_is_stored_and_comes_back_byte_for_byte(client):
    answer = await translate(client, [TEXT, "Yes."], decoding={"beam_size": 3, "n_best": 2})
    body = answer.json()
    assert answer.headers["Location"] == f"/v1/translations/{body['id']}"
    assert body["record"]["id"] == body["id"]
    stored = await client.get(answer.headers["Location"])
    assert stored.status_code == 200
    assert stored.content == answer.content
    assert stored.headers["X-Model"] == answer.headers["X-Model"]
    assert stored.headers["Cache-Control"] == "no-store"
    assert stored.headers["Content-Type"] == "application/json"


async def test_the_alignments_of_a_record_can_be_made_again(client):
    decoding = {"beam_size": 3, "n_best": 2}
    body = (await translate(client, [TEXT, "Yes."], decoding=decoding)).json()
    record = await client.app.state.storage.records.get("local", body["id"])
    for texts, reply in zip(restore(record), body["translations"], strict=True):
        for translation, told in zip(texts, [reply, *reply["alternatives"]], strict=True):
            assert translation.text == told["text"]
            assert translation.score == pytest.approx(told["score"], abs=1e-5)
            aligned = aligned_text(translation, ("en", "fr"), "attention", ["word"])
            for segment, matrix in zip(
                aligned.segments, told["alignment"]["segments"], strict=True
            ):
                assert [token.text for token in segment.alignment.source] == [
                    token["text"] for token in matrix["source_tokens"]
                ]
                weights = torch.tensor(matrix["weights"])
                assert torch.allclose(segment.alignment.weights, weights, atol=1e-3)


async def test_a_caller_can_say_that_nothing_is_to_be_stored(client):
    answer = await translate(client, store=False)
    assert (answer.json()["id"], answer.json()["record"]) == (None, None)
    assert "Location" not in answer.headers
    assert (await listed(client))["translations"] == []


@pytest.mark.parametrize("settings", [Settings(record_ttl_seconds=0)])
async def test_an_operator_can_say_that_nothing_is_stored(client):
    assert (await translate(client)).json()["record"] is None


@pytest.mark.parametrize("settings", [Settings(record_ttl_seconds=1_000)])
@pytest.mark.parametrize(("ttl", "seconds"), [(None, 1_000), (1, 1), (999, 999), (1_001, 1_000)])
async def test_a_life_can_only_be_shortened(client, ttl, seconds):
    record = (await translate(client, ttl=ttl)).json()["record"]
    created, expires = (
        datetime.fromisoformat(record[f"{when}_at"]) for when in ("created", "expires")
    )
    assert expires - created == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "fields", [{"ttl": 0}, {"ttl": -1}, {"ttl": 2**64}, {"ttl": "5"}, {"store": 1}, {"store": "no"}]
)
async def test_what_cannot_be_asked_for_is_refused(client, fields):
    response = await client.post("/v1/translate", json={"text": TEXT, **fields})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == f"/{next(iter(fields))}"


async def test_expired_foreign_and_unknown_ids_get_the_same_answer(client, owners):
    ann, record_id, bob = owners
    clock = client.app.state.storage.records
    expired_id = (await translate(client, headers=bob, ttl=1)).json()["id"]
    clock._clock = lambda now=clock._clock: now() + 2 * SECOND
    bodies = set()
    ids = (record_id, expired_id, new_record_id(), "x", "%00", "%2e%2e", "%ff", "%F0%9F%90%9F")
    for method in ("GET", "DELETE"):
        for one in ids:
            response = await client.request(method, f"/v1/translations/{one}", headers=bob)
            assert response.status_code == 404
            body = response.json()
            assert body.pop("request_id")
            bodies.add(str(sorted(body.items())))
    assert len(bodies) == 1
    own = await client.get(f"/v1/translations/{record_id}", headers=ann)
    assert own.status_code == 200


async def test_an_address_with_a_slash_too_many_is_no_address(client):
    await translate(client)
    for path in ("/v1/translations/", "/v1/translations/?all=true", "/v1/translations/..%2f"):
        assert (await client.delete(path)).status_code == 404
    assert len((await listed(client))["translations"]) == 1


async def test_nobody_sees_or_erases_what_is_anothers(client, owners):
    ann, _, bob = owners
    assert (await client.get("/v1/translations", headers=bob)).json()["translations"] == []
    erased = await client.delete("/v1/translations?all=true", headers=bob)
    assert erased.json() == {"erased": 0}
    key = {"Idempotency-Key": "k"}
    first = await translate(client, headers={**ann, **key})
    other = await translate(client, headers={**bob, **key})
    assert first.json()["id"] != other.json()["id"]
    cursor = (await client.get("/v1/translations?limit=1", headers=ann)).json()["next_cursor"]
    response = await client.get(f"/v1/translations?cursor={cursor}", headers=bob)
    assert_refused(response, 422, "bad_cursor")


async def test_the_list_shows_own_records_page_by_page(client):
    ids = [(await translate(client, f"Sentence {number}.")).json()["id"] for number in range(5)]
    seen, cursor = [], {}
    while cursor is not None:
        page = await listed(client, limit=2, **cursor)
        seen += page["translations"]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert [one["id"] for one in seen] == ids[::-1]
    assert seen[0]["preview"] == "Sentence 4."
    assert (seen[0]["texts"], seen[0]["source_lang"], seen[0]["target_lang"]) == (1, "en", "fr")
    assert (await listed(client, target_lang="de"))["translations"] == []
    assert len((await listed(client, target_lang="fr"))["translations"]) == 5


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "greater_than_equal"),
        ("limit=-1", "greater_than_equal"),
        ("limit=101", "limit_exceeded"),
        ("limit=1000000000", "less_than_equal"),
        (f"limit={2**64}", "less_than_equal"),
        ("limit=" + "9" * 4_000, None),
        ("limit=x", None),
        ("cursor=", None),
        ("cursor=forged", "bad_cursor"),
        ("source_lang=%00", None),
        ("colour=red", "extra_forbidden"),
    ],
)
async def test_a_list_that_cannot_be_given_is_refused(client, query, code):
    response = await client.get(f"/v1/translations?{query}")
    assert response.status_code == 422
    assert code in (None, response.json()["errors"][0]["code"])


async def test_a_number_longer_than_an_address_may_be_is_refused(client):
    response = await client.get("/v1/translations?limit=" + "9" * 4_400)
    assert response.status_code == 414
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_record_can_be_deleted(client):
    address = (await translate(client)).headers["Location"]
    deleted = await client.delete(address)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.get(address)).status_code == 404
    assert (await client.delete(address)).status_code == 404


async def test_everything_is_erased_only_if_that_is_meant(client):
    for _ in range(3):
        await translate(client)
    for query in ("", "?all=false", "?all=1", "?everything=true"):
        assert (await client.delete(f"/v1/translations{query}")).status_code == 422
    assert (await client.delete("/v1/translations?all=true")).json() == {"erased": 3}
    assert (await listed(client))["translations"] == []


async def test_a_key_gives_the_same_answer_again(client):
    key = {"Idempotency-Key": "order-1"}
    first = await translate(client, headers=key)
    again = await translate(client, headers=key)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert len((await listed(client))["translations"]) == 1
    other = {"text": "Another text."}
    assert_refused(
        await client.post("/v1/translate", json=other, headers=key), 409, "idempotency_conflict"
    )


async def test_the_same_key_at_the_same_time_makes_one_record(client):
    key = {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(*(translate(client, headers=key) for _ in range(8)))
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len((await listed(client))["translations"]) == 1


@pytest.mark.parametrize("key", ["", "two words", "é", "k" * 256])
async def test_a_key_that_is_no_key_is_refused(client, key):
    headers = {"Idempotency-Key": key.encode()}
    response = await client.post("/v1/translate", json={"text": TEXT}, headers=headers)
    assert response.status_code == 422


async def test_a_key_without_a_stored_answer_is_refused(client):
    response = await client.post(
        "/v1/translate", json={"text": TEXT, "store": False}, headers={"Idempotency-Key": "k"}
    )
    assert_refused(response, 422, "validation_failed")
    assert response.json()["errors"][0]["pointer"] == "/store"


@pytest.mark.parametrize("error", [StorageUnavailableError, StorageFullError])
async def test_an_answer_that_cannot_be_stored_is_an_error_unless_best_effort_will_do(
    client, monkeypatch, error
):
    async def fail(*_arguments):
        raise error(1)

    monkeypatch.setattr(client.app.state.storage.database, "write", fail)
    refused = await client.post("/v1/translate", json={"text": TEXT})
    assert refused.status_code in (503, 507)
    assert refused.json()["code"] == error(1).code
    assert int(refused.headers["Retry-After"]) >= 1
    answer = await translate(client, store="best_effort")
    assert (answer.json()["id"], answer.json()["record"]) == (None, None)
    assert "Location" not in answer.headers
    assert len(answer.json()["translations"]) == 1
    assert (await translate(client, store=False)).json()["record"] is None


@pytest.mark.parametrize("settings", [Settings(max_record_bytes=1_024)])
async def test_an_answer_that_is_too_large_to_be_stored_is_told(client):
    long = {"text": [f"{number} {TEXT}" for number in range(8)]}
    assert_refused(await client.post("/v1/translate", json=long), 413, "record_too_large")
    answer = await client.post("/v1/translate", json={**long, "store": "best_effort"})
    assert (answer.status_code, answer.json()["record"]) == (200, None)
    assert (await listed(client))["translations"] == []


async def test_while_another_program_writes_what_needs_no_database_goes_on(client, data_folder):
    stored = await translate(client)
    with closing(sqlite3.connect(data_folder / "softalign.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        refused = await client.post("/v1/translate", json={"text": TEXT})
        assert_refused(refused, 503, "storage_unavailable")
        assert (await client.get(stored.headers["Location"])).status_code == 200
        await translate(client, store=False)
        for address in ("/livez", "/readyz"):
            assert (await client.get(address)).status_code == 200
        connection.rollback()
    await translate(client)


async def test_the_service_is_not_ready_without_its_database(client, monkeypatch):
    async def fail():
        raise StorageUnavailableError(1)

    monkeypatch.setattr(client.app.state.storage.database, "ping", fail)
    assert_refused(await client.get("/readyz"), 503, "storage_unavailable")
    assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize("settings", [Settings(allow_anonymous=True)])
async def test_strangers_reach_a_record_by_its_id_alone(client):
    answer = await from_elsewhere(client, "POST", "/v1/translate", json={"text": TEXT})
    address = answer.headers["Location"]
    record = answer.json()["record"]
    created, expires = (
        datetime.fromisoformat(record[f"{when}_at"]) for when in ("created", "expires")
    )
    assert expires - created == timedelta(days=1)
    assert (await from_elsewhere(client, "GET", address)).status_code == 200
    for method, path in (("GET", "/v1/translations"), ("DELETE", "/v1/translations?all=true")):
        assert_refused(await from_elsewhere(client, method, path), 403, "forbidden")
    assert (await client.get(address)).status_code == 404
