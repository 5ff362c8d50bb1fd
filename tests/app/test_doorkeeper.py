"""Who is turned away outside the framework, and who must not be."""

import json

import pytest

from app.admission import Admission, Backlog, Claim, Load
from app.doorkeeper import Doorkeeper, least_claim
from app.errors import OverloadedError
from app.pace import Pace
from app.settings import Settings

pytestmark = pytest.mark.anyio

TEXT = {"text": "A cat sleeps."}
HUGE = Claim("local", "interactive", Load(5, 50), 1e6, 60.0)
"""Work of this caller ahead of everything else it sends."""


def body(**fields):
    return json.dumps(TEXT | fields).encode()


def scope(path="/v1/translate", method="POST", query=b"", headers=(), client="127.0.0.1"):
    return {
        "path": path,
        "method": method,
        "query_string": query,
        "headers": list(headers),
        "client": (client, 1234),
    }


@pytest.fixture
def keeper():
    """A doorkeeper of a service in which `local` has no room left."""
    admission = Admission(Settings(max_wait_seconds=1.0), Pace(), Backlog())
    doorkeeper = Doorkeeper()
    doorkeeper.serve(admission)
    with admission.reserve(HUGE):
        yield doorkeeper


def test_whoever_passed_the_gate_is_turned_away_where_there_is_no_room(keeper):
    assert keeper.refusal(scope(), body()) is None
    keeper.remember(scope(), "local")
    assert isinstance(keeper.refusal(scope(), body()), OverloadedError)
    assert isinstance(keeper.refusal(scope("/v1/align"), body()), OverloadedError)


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/v1/models"},
        {"method": "GET"},
        {"query": b"api_key=secret"},
        {"headers": [(b"idempotency-key", b"1")]},
        {"headers": [(b"authorization", b"Bearer other")]},
        {"headers": [(b"x-forwarded-for", b"192.0.2.7")]},
        {"client": "192.0.2.7"},
    ],
    ids=str,
)
def test_what_is_not_plain_or_not_known_takes_the_long_way(keeper, changed):
    keeper.remember(scope(), "local")
    assert keeper.refusal(scope(**changed), body()) is None


def test_a_caller_with_nothing_waiting_is_let_in_beside_one_who_floods(keeper):
    polite = {"headers": [(b"x-api-key", b"sk_polite")]}
    keeper.remember(scope(**polite), "key:polite")
    assert keeper.refusal(scope(**polite), body()) is None


def test_keys_are_not_kept(keeper):
    secret = "sk_very_secret"
    keeper.remember(scope(headers=[(b"x-api-key", secret.encode())]), "key:1")
    assert secret not in repr(vars(keeper))


def test_who_passed_long_ago_takes_the_long_way(keeper, monkeypatch):
    keeper.remember(scope(), "local")
    monkeypatch.setattr("app.doorkeeper.VERDICT_SECONDS", 0.0)
    assert keeper.refusal(scope(), body()) is None


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff",
        b"[" * 3_000,
        b'{"text": 1}',
        b'{"text": ["a", 1]}',
        b"[1]",
        body(lane="bulk"),
        body(text=["A cat."] * 17),
        body(text="a" * 1_700),
        body(text="a" * 5_000),
    ],
    ids=lambda sent: sent[:24].decode("latin-1"),
)
def test_no_claim_is_made_of_a_body_that_is_not_plainly_interactive(sent):
    assert least_claim(sent, "local") is None


def test_the_claim_of_a_plain_body_is_the_doors_guess():
    claim = least_claim(body(text=["A cat.", "a" * 150]), "local")
    assert claim is not None
    assert (claim.lane, claim.load) == ("interactive", Load(3, 41))


@pytest.mark.parametrize("settings", [Settings(max_wait_seconds=1.0)])
async def test_the_answer_is_that_of_the_long_way_and_no_other_route_is_touched(client):
    assert (await client.post("/v1/translate", json=TEXT)).status_code == 200
    with client.app.state.service.admission.reserve(HUGE):
        long = await client.post("/v1/translate", json=TEXT, headers={"Idempotency-Key": "1"})
        # A field that the long way would refuse shows which way was taken.
        quick = await client.post("/v1/translate", json=TEXT | {"unknown": 1})
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/v1/limits")).status_code == 200
    assert quick.status_code == long.status_code == 503
    ours, theirs = quick.json(), long.json()
    assert quick.headers["content-type"] == "application/problem+json"
    assert "connection" not in quick.headers
    assert int(quick.headers["retry-after"]) >= 1
    assert ours.pop("request_id") != theirs.pop("request_id")
    assert ours == theirs
    counted = client.app.state.service.metrics.exposition().decode()
    assert 'softalign_rejections_total{reason="overloaded"} 2.0' in counted
    labels = 'method="POST",route="/v1/translate",status="503"'
    assert f"softalign_requests_total{{{labels}}} 2.0" in counted
