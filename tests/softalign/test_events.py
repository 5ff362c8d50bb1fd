"""Streams: as they are cut on the way, and from a real service."""

import itertools
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softalign import (
    Client,
    DoneEvent,
    InterruptedStreamError,
    ProblemError,
    SegmentEndEvent,
    SegmentEvent,
    TokenEvent,
    UnavailableError,
    UnexpectedAnswerError,
)
from softalign.events import EventReader
from tests.softalign.conftest import NEVER_WAITS, Flaky, problem

TEXT = "The cat sleeps on the sofa. A dog!"
LINE_ENDS_FOR_PYTHON_ONLY = "a\u2028b\u2029c\x85d\x0be"
STREAM = (
    b": still here\n\nevent: token\r\ndata: "
    + json.dumps({"text": LINE_ENDS_FOR_PYTHON_ONLY}, ensure_ascii=False).encode()
    + b"\r\n\r\nevent: done\rdata: {\rdata: }\r\rid: 7\n\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_however_the_bytes_are_cut(cuts):
    reader, places = EventReader(), [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in itertools.pairwise(places)]
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    assert events == [("token", {"text": LINE_ENDS_FOR_PYTHON_ONLY}), ("done", {})]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_events_come_to_what_a_plain_answer_says(client, beam_size):
    events = list(client.stream(TEXT, beam_size=beam_size, level="piece"))
    plain = client.translate(TEXT, beam_size=beam_size, level="piece")
    done = events[-1]
    assert isinstance(done, DoneEvent)
    assert (done.translation.text, done.translation.links) == (plain.text, plain.links)
    said: dict[int, dict[int, TokenEvent]] = {}
    for event in events:
        if isinstance(event, TokenEvent):
            said.setdefault(event.segment, {})[event.index] = event
    for end in (event for event in events if isinstance(event, SegmentEndEvent)):
        tokens = [said[end.segment][index] for index in range(end.pieces)]
        assert "".join(token.text for token in tokens) == end.text
        assert all(token.stable for token in tokens)
    begins = [event for event in events if isinstance(event, SegmentEvent)]
    sentences = [TEXT[one.source_start : one.source_end] for one in begins]
    assert sentences == ["The cat sleeps on the sofa.", "A dog!"]


def test_a_stream_that_is_done_can_be_drawn(client, tmp_path):
    *_, done = client.stream("The cat sleeps.")
    done.translation.save(tmp_path / "alignment.csv")
    assert (tmp_path / "alignment.csv").read_text().startswith("segment,level,kind")


def test_several_texts_are_followed_together(client):
    *_, done = client.stream(["A cat.", "A dog."])
    assert [one.source for one in done.translations] == ["A cat.", "A dog."]


def test_a_refusal_before_the_first_event_is_tried_again(address):
    network = Flaky(problem(503, "overloaded"), httpx.ConnectError("refused"))
    with Client(address, transport=network, retries=NEVER_WAITS) as client:
        assert isinstance([*client.stream("A cat.")][-1], DoneEvent)
    assert len({one.headers["Idempotency-Key"] for one in network.requests}) == 1


def test_a_refusal_that_stays_is_an_exception(address):
    network = Flaky(*(problem(503, "overloaded") for _ in range(3)))
    with (
        Client(address, transport=network, retries=NEVER_WAITS) as client,
        pytest.raises(UnavailableError),
    ):
        next(client.stream("A cat."))


def stream_of(chunks) -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=chunks)


def test_an_error_in_the_middle_is_an_exception(address):
    told = {"status": 504, "code": "deadline_exceeded", "detail": "Too late.", "errors": []}
    network = Flaky(stream_of([b"event: error\ndata: ", json.dumps(told).encode(), b"\n\n"]))
    with (
        Client(address, transport=network) as client,
        pytest.raises(ProblemError, match="Too late") as caught,
    ):
        list(client.stream("A cat."))
    assert caught.value.code == "deadline_exceeded"


def broken_stream():
    yield b"event: segment_end\ndata: {"
    raise httpx.ReadError("the connection broke")


@pytest.mark.parametrize("chunks", [[b": hello\n\n"], broken_stream()])
def test_a_stream_that_breaks_off_is_not_taken_for_a_whole_one(address, chunks):
    network = Flaky(stream_of(chunks))
    with (
        Client(address, transport=network, retries=NEVER_WAITS) as client,
        pytest.raises(InterruptedStreamError),
    ):
        list(client.stream("A cat."))
    assert len(network.requests) == 1


def test_an_answer_that_is_no_stream_is_refused(address):
    network = Flaky(httpx.Response(200, json={}))
    with Client(address, transport=network) as client, pytest.raises(UnexpectedAnswerError):
        next(client.stream("A cat."))


def test_leaving_closes_the_connection(client):
    events = client.stream(TEXT)
    next(events)
    events.close()
    assert list(events) == []
