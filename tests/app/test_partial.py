"""`on_error: "partial"`: a bad text has a problem in its place, and the others are translated."""

import pytest

from app.settings import Settings

pytestmark = pytest.mark.anyio

GREEDY = {"beam_size": 1, "max_length": 8}


async def post(client, texts, **fields):
    body = {"text": texts, "decoding": GREEDY, "on_error": "partial", **fields}
    return await client.post("/v1/translate", json=body)


async def test_thirty_one_of_thirty_two_are_translated_as_they_are_alone(client):
    texts = [f"The cat sleeps {count} times." for count in range(32)]
    texts[7] = " \u200b"
    response = await post(client, texts, store=False)
    assert response.status_code == 200
    translations = response.json()["translations"]
    assert len(translations) == 32
    assert translations[7]["problem"]["code"] == "empty_text"
    assert translations[7]["problem"]["pointer"] == "/text/7"
    whole = await post(client, [text for text in texts if text != texts[7]], store=False)
    others = translations[:7] + translations[8:]
    assert [one["text"] for one in others] == [one["text"] for one in whole.json()["translations"]]
    assert response.json()["usage"] == whole.json()["usage"]


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("settings", [Settings(max_text_characters=100, max_text_tokens=40)])
async def test_each_kind_of_bad_text_has_its_own_problem(client):
    texts = ["Yes.", "", "a\0b", "x" * 101, "yes no " * 14, "No."]
    translations = (await post(client, texts, store=False)).json()["translations"]
    problems = [one.get("problem", {}).get("code") for one in translations]
    kinds = ["empty_text", "control_character", "text_too_long", "text_too_long"]
    assert problems == [None, *kinds, None]


async def test_without_it_one_bad_text_refuses_all_and_each_is_named(client):
    response = await post(client, ["Yes.", "", "a\0b"], on_error="fail")
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/text/1", "/text/2"]


@pytest.mark.parametrize("texts", ["", ["", " "]])
async def test_where_no_text_is_left_the_request_is_refused(client, texts):
    response = await post(client, texts)
    assert (response.status_code, response.json()["code"]) == (422, "empty_text")


@pytest.mark.parametrize(("count", "status"), [(31, 200), (32, 200), (33, 422)])
async def test_a_request_has_as_many_texts_as_are_allowed(client, count, status):
    response = await post(client, ["Yes."] * (count - 1) + [" "], store=False)
    assert response.status_code == status


@pytest.mark.parametrize("bad", [0, 1, 2])
async def test_a_stored_answer_keeps_its_problems_and_the_places_of_the_others(client, bad):
    texts = ["Yes.", "No.", "The cat sleeps."]
    texts[bad] = " "
    stored = (await post(client, texts)).json()
    address = f"/v1/translations/{stored['id']}"
    assert (await client.get(address)).json()["translations"] == stored["translations"]
    for place in range(3):
        alignment = await client.get(f"{address}/alignment", params={"text": place})
        assert alignment.status_code == (422 if place == bad else 200)
    problem = (await client.get(f"{address}/alignment", params={"text": bad})).json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("alignment_unavailable", "/text")
