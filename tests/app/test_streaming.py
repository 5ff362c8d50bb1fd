"""Translations as events over HTTP, and that they come to what a plain answer says."""

import asyncio
import json
import time

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from model.search import BeamSearch

pytestmark = pytest.mark.anyio

TEXT = "The cat sleeps on the sofa. A dog!\n\nIt rains 👩‍🚀 cats and dogs."
STREAM = {"Accept": "text/event-stream", "X-Request-Id": "stream-1"}


def read_events(text):
    events = []
    *blocks, rest = text.split("\n\n")
    assert rest == "", "the last event is cut off"
    for block in blocks:
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            events.append((fields["event"], json.loads(fields["data"])))
    return events


async def stream(client, **fields):
    body = {"text": TEXT, "store": False} | fields
    response = await client.post("/v1/translate", json=body, headers=STREAM)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return read_events(response.text)


def last_said(events):
    """The tokens of each segment as a reader has them at the end."""
    said = {}
    for name, data in events:
        if name in ("token", "segment_end"):
            tokens = said.setdefault((data["translation"], data["segment"]), [])
        if name == "token":
            assert data["index"] <= len(tokens)
            if data["index"] < len(tokens):
                assert not tokens[data["index"]]["stable"], "a stable token was replaced"
            tokens[data["index"] : data["index"] + 1] = [data]
        elif name == "segment_end":
            del tokens[data["pieces"] :]
    return said


@pytest.mark.parametrize("beam_size", [1, 4])
async def test_the_events_come_to_the_plain_answer(client, beam_size):
    fields = {
        "text": [TEXT, "Yes."],
        "decoding": {"beam_size": beam_size},
        "alignment": {"level": "piece"},
        "include": ["segments", "tokens"],
    }
    events = await stream(client, **fields)
    plain = (await client.post("/v1/translate", json={**fields, "store": False})).json()
    assert events[-1] == ("done", plain)
    assert [name for name, _ in events].count("done") == 1
    said = last_said(events)
    ends = {(e["translation"], e["segment"]): e for name, e in events if name == "segment_end"}
    begins = {(e["translation"], e["segment"]): e for name, e in events if name == "segment"}
    for index, translation in enumerate(plain["translations"]):
        for number, segment in enumerate(translation["segments"]):
            tokens, end = said[index, number], ends[index, number]
            assert all(token["stable"] for token in tokens)
            assert [token["id"] for token in tokens] == [
                piece["id"] for piece in segment["target_pieces"]
            ]
            assert [token["log_prob"] for token in tokens] == [
                piece["log_prob"] for piece in segment["target_pieces"]
            ]
            start, stop = segment["target"]["start"], segment["target"]["end"]
            assert "".join(token["text"] for token in tokens) == end["text"]
            assert end["text"] == translation["text"][start:stop]
            assert [start + token["start"] for token in tokens] == [
                piece["start"] for piece in segment["target_pieces"]
            ]
            matrix = translation["alignment"]["segments"][number]
            assert [token["weights"] for token in tokens] == matrix["weights"]
            assert [token["eos"] for token in tokens] == matrix["eos"]["source_mass"]
            assert begins[index, number]["source"] == segment["source"]
            assert begins[index, number]["source_pieces"] == segment["source_pieces"]


async def test_greedy_tokens_are_final_at_once(client):
    events = await stream(client, decoding={"beam_size": 1})
    tokens = [data for name, data in events if name == "token"]
    places = [(token["segment"], token["index"]) for token in tokens]
    final = [place for place, one in zip(places, tokens, strict=True) if one["stable"]]
    assert len(final) == len(set(final)) == len(set(places))
    # Nothing waits but bytes, which do so for the others of their character.
    assert all(token["stable"] or token["piece"].startswith("<0x") for token in tokens)
    assert not all(token["piece"].startswith("<0x") for token in tokens)


async def test_sentences_are_told_side_by_side(client):
    events = await stream(client, decoding={"beam_size": 1})
    names = [name for name, _ in events]
    assert names[:3] == ["segment"] * 3
    order = [data["segment"] for name, data in events if name == "token"]
    assert order != sorted(order), "the second sentence waited for the first"


async def test_offsets_come_in_the_asked_unit_and_alignments_can_be_left_out(client):
    wide = await stream(client, text="👩‍🚀 Yes.", alignment={"offset_encoding": "utf-16"})
    [segment] = [data for name, data in wide if name == "segment"]
    assert segment["source"] == {"start": 0, "end": len("👩‍🚀 Yes.".encode("utf-16-le")) // 2}
    without = await stream(client, alignment=None)
    assert all(data["weights"] is None for name, data in without if name == "token")


async def test_a_model_without_attention_streams_too(plain_models, data_folder):
    app = create_app(Settings(data=data_folder), plain_models)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        events = await stream(client)
        assert all(data["weights"] is None for name, data in events if name == "token")
        assert events[-1][0] == "done"


async def test_what_is_wrong_from_the_beginning_is_a_plain_problem(client):
    response = await client.post("/v1/translate", json={"text": ""}, headers=STREAM)
    assert response.status_code == 422
    response = await client.post(
        "/v1/translate", json={"text": "a", "target_lang": "xx"}, headers=STREAM
    )
    assert response.json()["code"] == "unknown_language_pair"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("settings", [Settings(max_matrix_cells=1_000)])
async def test_what_goes_wrong_later_is_the_last_event(client):
    text = TEXT * 3
    events = await stream(client, text=text, alignment={"level": ["word", "piece"]})
    name, problem = events[-1]
    assert (name, problem["code"]) == ("error", "matrix_too_large")
    assert problem["request_id"] == "stream-1"
    assert "done" not in [name for name, _ in events]


async def test_a_fault_of_ours_is_an_event_without_its_cause(client, monkeypatch):
    monkeypatch.setattr("app.service.render", lambda *_: 1 // 0)
    events = await stream(client)
    assert events[-1][0] == "error"
    assert events[-1][1]["code"] == "internal_error"
    assert "division" not in json.dumps(events[-1][1])


async def test_a_deadline_ends_a_stream(client, monkeypatch):
    step = BeamSearch.step

    def slow(search):
        time.sleep(0.2)
        return step(search)

    monkeypatch.setattr(BeamSearch, "step", slow)
    events = await stream(client, deadline_ms=2_000)
    assert [name for name, _ in events].count("token") > 0
    assert events[-1][1]["code"] == "deadline_exceeded"
    assert client.app.state.service.admission.held.sentences == 0


async def test_a_stored_answer_is_the_only_event_of_a_repeated_request(client):
    headers = STREAM | {"Idempotency-Key": "once"}
    first = await client.post("/v1/translate", json={"text": "Yes."}, headers=headers)
    again = await client.post("/v1/translate", json={"text": "Yes."}, headers=headers)
    [(name, data)] = read_events(again.text)
    assert (name, data) == read_events(first.text)[-1]
    assert data["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == f"/v1/translations/{data['id']}"
    assert first.headers["X-Model"] == again.headers["X-Model"]
    assert first.headers["X-Model"].startswith("tiny@")


async def test_leaving_frees_the_place(client):
    """The application is called by hand: the test client waits for whole responses."""
    app, sent, left = client.app, asyncio.Event(), asyncio.Event()
    body = json.dumps({"text": TEXT * 20, "store": False}).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if b"event: token" in message.get("body", b""):
            sent.set()
            await asyncio.Event().wait()

    headers = [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/translate", "headers": headers,
        "query_string": b"", "client": ("127.0.0.1", 1), "http_version": "1.1", "scheme": "http",
        "server": ("softalign.test", 80), "root_path": "", "raw_path": b"/v1/translate",
    }  # fmt: skip
    task = asyncio.create_task(app(scope, receive, send))
    await asyncio.wait_for(sent.wait(), 60)
    service = app.state.service
    assert service.admission.held.sentences > 1
    left.set()
    await asyncio.wait_for(task, 60)
    assert service.admission.held.sentences == 0
    assert not service._supervisor.scheduler._live
