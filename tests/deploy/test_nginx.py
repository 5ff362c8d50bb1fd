"""What nginx does with requests, tried against replicas that log, stall and die."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from app.errors import PROBLEMS
from tests.nginx import FOLDER, NginxServer, find_nginx

PROBLEM = re.compile(r"return (\d+) '(\{.*\})';")


class Replica(ThreadingHTTPServer):
    """Remembers what it was asked, and does with POSTs what `mode` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.mode = "answer"
        self.requests = []
        self.may_go_on = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(dict(self.headers))
        self.answer(b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append({**self.headers, "body": body})
        if self.server.mode == "die":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.server.mode == "stream":
            self.stream()
        else:
            self.answer(body)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", "id-of-the-replica")
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"event: token\n\n")
        self.wfile.flush()
        assert self.server.may_go_on.wait(60)
        self.wfile.write(b"event: done\n\n")
        self.close_connection = True

    def log_message(self, *_):
        """Nothing: tests look at `requests`."""


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    servers = [Replica(), Replica()]
    yield servers
    for server in servers:
        server.may_go_on.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def nginx(replicas: list[Replica]) -> Iterator[NginxServer]:
    if find_nginx() is None:
        pytest.skip("no nginx: install it")
    server = NginxServer([replica.address for replica in replicas])
    yield server
    assert server.stop() == 0


def taken_by(replicas):
    return [request for replica in replicas for request in replica.requests]


def test_a_repeatable_request_is_sent_to_another_replica_when_one_dies(nginx, replicas):
    replicas[0].mode = "die"
    for number in range(6):
        key = {"Idempotency-Key": f"key-{number}"}
        answer = httpx.post(f"{nginx.url}/v1/translate", content=b'"text"', headers=key)
        assert (answer.status_code, answer.content) == (200, b'"text"')
    assert replicas[0].requests, "the test needs a request that the dead replica took"


def test_a_request_without_a_key_is_never_sent_twice(nginx, replicas):
    for replica in replicas:
        replica.mode = "die"
    answer = httpx.post(f"{nginx.url}/v1/translate", content=b'"text"')
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_ready"
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert len(taken_by(replicas)) == 1


def test_a_stream_goes_through_event_by_event(nginx, replicas):
    for replica in replicas:
        replica.mode = "stream"
    with httpx.stream("POST", f"{nginx.url}/v1/translate", content=b"{}") as answer:
        events = answer.iter_raw()
        assert next(events) == b"event: token\n\n"
        for replica in replicas:
            replica.may_go_on.set()
        assert b"".join(events) == b"event: done\n\n"


def test_a_replica_hears_of_a_request_only_once_it_is_whole(nginx, replicas):
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=30)
    connection.putrequest("POST", "/v1/translate")
    connection.putheader("Content-Length", "4")
    connection.endheaders(b"12")
    assert httpx.get(f"{nginx.url}/v1/models").status_code == 200
    assert [request for request in taken_by(replicas) if "body" in request] == []
    connection.send(b"34")
    assert connection.getresponse().read() == b"1234"
    connection.close()


def test_a_caller_cannot_say_where_it_comes_from(nginx, replicas):
    forged = {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1", "X-Real-IP": "10.0.0.1"}
    httpx.get(f"{nginx.url}/v1/models", headers=forged)
    [request] = taken_by(replicas)
    assert request["X-Forwarded-For"] == "127.0.0.1"
    assert {"Forwarded", "X-Real-IP"}.isdisjoint(request)


@pytest.mark.parametrize(
    "path", ["/metrics", "/v1/admin/models", "/v1/./admin/models", "//metrics"]
)
def test_addresses_of_the_admin_listener_reach_no_replica(nginx, replicas, path):
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 404
    assert json.load(answer)["code"] == "not_found"
    connection.close()
    assert taken_by(replicas) == []


def test_a_body_that_no_setting_allows_is_refused_in_our_form(nginx, replicas):
    answer = httpx.post(f"{nginx.url}/v1/translate", content=b"x" * 600_000)
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert taken_by(replicas) == []


def test_the_log_holds_nothing_of_a_caller(nginx):
    headers = {"User-Agent": "canary-agent", "Authorization": "Bearer canary-key"}
    httpx.post(f"{nginx.url}/v1/canary-path?q=canary", content=b"canary", headers=headers)
    line = nginx.first_line_of_log()
    assert "canary" not in line
    assert "127.0.0.1" not in line
    assert json.loads(line)["request_id"] == "id-of-the-replica"


def test_answers_of_nginx_itself_are_problems_of_the_service():
    text = (FOLDER / "nginx.conf").read_text("utf-8")
    answers = PROBLEM.findall(text)
    assert len(answers) == 5
    for status, body in answers:
        problem = json.loads(body)
        code = problem["code"]
        assert (problem["status"], problem["title"]) == PROBLEMS[code]
        assert problem["type"] == f"urn:softalign:problem:{code}"
        assert int(status) == problem["status"]
        assert set(problem) == {
            *("type", "title", "status", "detail", "code", "errors", "request_id")
        }
