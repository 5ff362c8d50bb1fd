"""How the process lives and dies: signals, stuck and dead workers, a log that nobody reads."""

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.conftest import PATIENCE_SECONDS, Requests, wait_for

GRACE = 3.0
BROKEN = 3


def is_in_flight(service, count):
    return service.metric("requests_in_progress") >= count + 1  # the scrape is one


def test_sigterm_is_not_ready_at_once_and_still_answers_until_it_ends_with_0(start):
    service = start(drain_seconds=4, shutdown_seconds=60)
    service.set_step("0.2")
    running = Requests(service.translate, 3)
    wait_for(lambda: is_in_flight(service, 3))
    service.process.send_signal(signal.SIGTERM)
    wait_for(lambda: service.status("/readyz") == 503)
    assert service.status("/livez") == 200
    service.set_step("0")
    late = service.translate()
    assert late.status_code == 200
    assert late.headers["connection"] == "close"
    assert [answer.status_code for answer in running.wait()] == [200] * 3
    assert service.end() == 0
    assert service.status("/livez") is None


def test_what_is_not_done_within_the_grace_is_refused_and_the_end_is_0(start):
    service = start(drain_seconds=0.5, shutdown_seconds=GRACE, max_rows=20, stall_seconds=60)
    service.set_step("forever")
    greedy = {"beam_size": 1}
    # 20 are decoded, 10 wait for a place.
    running = Requests(lambda: service.translate(decoding=greedy), 30)
    wait_for(lambda: is_in_flight(service, 30))
    wait_for(lambda: service.metric("queue_sentences") >= 10)
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    answers = running.wait()
    assert service.end() == 0
    assert {answer.status_code for answer in answers} == {503}
    assert len(answers) == 30
    for answer in answers:
        assert answer.json()["code"] == "not_ready"
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert GRACE <= time.monotonic() - began < PATIENCE_SECONDS


def test_a_second_signal_ends_at_once(start):
    service = start(drain_seconds=60, shutdown_seconds=120)
    service.process.send_signal(signal.SIGTERM)
    wait_for(lambda: service.status("/readyz") == 503)
    service.process.send_signal(signal.SIGTERM)
    assert service.end() == 128 + signal.SIGTERM


def test_ctrl_c_does_not_wait_for_balancers(start):
    service = start(drain_seconds=500, shutdown_seconds=600)
    service.process.send_signal(signal.SIGINT)
    assert service.end() == 0


def test_a_stuck_worker_is_replaced_and_its_callers_are_told(start):
    service = start(stall_seconds=1)
    before = service.translate().json()["translations"][0]["text"]
    service.set_step("forever")
    running = Requests(service.translate, 3)
    answers = running.wait()
    assert [answer.status_code for answer in answers] == [503] * 3
    assert {answer.json()["code"] for answer in answers} == {"model_unavailable"}
    assert service.status("/livez") == 200
    service.set_step("0")
    wait_for(lambda: service.status("/readyz") == 200)
    after = service.translate()
    assert after.json()["translations"][0]["text"] == before
    assert service.metric("worker_replacements_total", '{reason="stuck"}') >= 1
    service.process.send_signal(signal.SIGINT)
    assert service.end() == 0


@pytest.mark.parametrize(("wish", "reason"), [("forever", "stuck"), ("dead", "dead")])
def test_a_worker_that_fails_again_and_again_ends_the_process(start, wish, reason):
    service = start(stall_seconds=0.5)
    service.set_step(wish)
    while service.process.poll() is None:
        with contextlib.suppress(httpx.TransportError):  # the process may be gone by now
            assert service.translate().status_code == 503
    assert service.end() == BROKEN
    assert any(
        event["level"] == "error"
        and "cannot recover" in event["event"]
        and reason in event["event"]
        for event in service.events()
    )


def test_a_log_that_nobody_reads_stops_no_request(start):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)  # a dozen lines
    service = start(stderr=writing)
    os.close(writing)
    for _ in range(40):
        assert service.status("/nowhere") == 404
    assert service.translate().status_code == 200
    service.process.send_signal(signal.SIGINT)
    assert service.end() == 0
    os.close(reading)


def test_a_log_on_a_full_disk_stops_no_request_and_is_counted(start):
    with Path("/dev/full").open("wb") as full:
        service = start(stderr=full)
    assert service.translate().status_code == 200
    wait_for(lambda: service.metric("log_lines_dropped_total") >= 1)
    service.process.send_signal(signal.SIGINT)
    assert service.end() == 0
