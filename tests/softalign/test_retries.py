from datetime import UTC, datetime

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from softalign import (
    Client,
    NotFoundError,
    RateLimitedError,
    Retries,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from softalign.retries import retry_after_seconds
from tests.running_app import running
from tests.softalign.conftest import NEVER_WAITS, Flaky, problem

BROKEN = httpx.ReadError("the connection broke")


@pytest.fixture
def waits(monkeypatch):
    """What the client waited for, without waiting."""
    waited = []
    monkeypatch.setattr("softalign.client.time.sleep", waited.append)
    return waited


def test_waits_double_and_are_drawn_below_their_bound():
    retries = Retries(attempts=4, first_wait=1.0, longest_wait=3.0, draw=lambda: 0.5)
    assert [retries.wait(failures) for failures in (1, 2, 3, 4)] == [0.5, 1.0, 1.5, None]


def test_nothing_is_sent_before_retry_after():
    retries = Retries(first_wait=1.0, longest_wait=30.0, draw=lambda: 0.0)
    assert retries.wait(1, retry_after=7.0) == 7.0
    assert Retries(first_wait=1.0, draw=lambda: 0.5).wait(1, retry_after=7.0) == 7.5
    assert retries.wait(1, retry_after=31.0) is None


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_wait": -1.0}, {"longest_wait": -1.0}])
def test_retries_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match="attempts must"):
        Retries(**wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0), ("soon", None), ("", None), ("-1", None)],
)
def test_retry_after_is_read_in_both_of_its_forms(text, seconds):
    noon = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
    assert retry_after_seconds(httpx.Headers({"Retry-After": text}), noon) == seconds


@pytest.mark.parametrize(
    "accident",
    [
        problem(503, "overloaded"),
        problem(429, "rate_limited"),
        httpx.Response(502, text="Bad gateway"),
        httpx.ConnectError("refused"),
        BROKEN,
    ],
)
def test_what_can_be_repeated_is(address, waits, accident):
    network = Flaky(accident)
    with Client(address, transport=network) as client:
        assert client.translate("A cat.").text
    assert len(network.requests) == 2
    assert 0.0 <= waits[0] <= 0.5


def test_the_service_says_how_long_to_wait(address, waits):
    network = Flaky(*(problem(503, "overloaded", **{"Retry-After": "4"}) for _ in range(2)))
    with Client(address, transport=network, retries=Retries(draw=lambda: 0.5)) as client:
        client.models()
    assert waits == [4.25, 4.5]


def test_a_repeated_request_keeps_its_key_and_is_done_once(address, client):
    network = Flaky("lost", BROKEN)
    with Client(address, transport=network, retries=NEVER_WAITS) as retrying:
        translation = retrying.translate("A cat on a sofa.")
    keys = {request.headers["Idempotency-Key"] for request in network.requests}
    assert (len(network.requests), len(keys)) == (3, 1)
    assert [one.id for one in client.translations()] == [translation.id]


def test_two_requests_have_two_keys(address):
    network = Flaky()
    with Client(address, transport=network) as client:
        assert client.translate("A cat.").id != client.translate("A cat.").id


def test_what_is_not_stored_has_no_key(address):
    network = Flaky()
    with Client(address, transport=network) as client:
        client.translate("A cat.", store=False)
    assert "Idempotency-Key" not in network.requests[0].headers


def test_a_service_that_stores_nothing_is_asked_without_a_key(tiny_models, tmp_path):
    app = create_app(Settings(data=tmp_path, record_ttl_seconds=0), tiny_models)
    with running(app) as address, Client(address) as client:
        assert client.translate("A cat.").id is None
        with pytest.raises(Exception, match="Idempotency-Key"):
            client.translate("A cat.", idempotency_key="mine")


def test_a_deletion_whose_answer_was_lost_has_been_done(address, client):
    translation = client.translate("A cat.")
    network = Flaky("lost")
    with Client(address, transport=network, retries=NEVER_WAITS) as retrying:
        retrying.delete(translation.id)
        with pytest.raises(NotFoundError):
            retrying.delete(translation.id)


def test_a_deletion_that_never_left_has_not_been_done(address):
    network = Flaky(httpx.ConnectError("refused"))
    with (
        Client(address, transport=network, retries=NEVER_WAITS) as retrying,
        pytest.raises(NotFoundError),
    ):
        retrying.delete("A" * 24)
    assert len(network.requests) == 2


def test_it_ends_some_time(address):
    network = Flaky(*(problem(503, "overloaded") for _ in range(3)))
    with (
        Client(address, transport=network, retries=NEVER_WAITS) as client,
        pytest.raises(UnavailableError, match="503 overloaded"),
    ):
        client.models()
    assert len(network.requests) == 3


def test_a_wait_that_is_too_long_is_the_callers_to_decide(address):
    network = Flaky(problem(429, "rate_limited", **{"Retry-After": "3600"}))
    with Client(address, transport=network) as client, pytest.raises(RateLimitedError) as caught:
        client.models()
    assert caught.value.retry_after == 3600.0
    assert len(network.requests) == 1


def test_nobody_there_is_an_error_that_says_so():
    with (
        Client("http://127.0.0.1:9", retries=NEVER_WAITS) as client,
        pytest.raises(UnreachableError, match="after 3 tries"),
    ):
        client.models()


def test_an_answer_that_takes_too_long_is_not_asked_for_again(address):
    network = Flaky(httpx.ReadTimeout("timed out"))
    with Client(address, transport=network) as client, pytest.raises(UnreachableError):
        client.translate("A cat.")
    assert len(network.requests) == 1


def test_an_error_that_is_not_the_services_is_told_from_its_own(address):
    network = Flaky(httpx.Response(404, text="<h1>nginx</h1>"))
    with Client(address, transport=network) as client, pytest.raises(UnexpectedAnswerError):
        client.models()


def test_a_wrong_request_is_not_repeated(address):
    network = Flaky()
    with Client(address, transport=network) as client, pytest.raises(Exception, match="empty_text"):
        client.translate("")
    assert len(network.requests) == 1
