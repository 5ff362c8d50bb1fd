"""Who is turned away before the request is parsed, over real sockets, and who must not be."""

import asyncio
import contextlib
import json
import logging

import pytest

from app import turnstile as module
from app.admission import Admission, Backlog, Claim, Load
from app.boundary import Boundary
from app.doorkeeper import Doorkeeper
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.pace import Pace
from app.server import Listener, bind
from app.settings import Settings
from app.turnstile import Turnstile

pytestmark = pytest.mark.anyio

SOON = 60.0
HUGE = Claim("local", "interactive", Load(5, 50), 1e6, 60.0)
BODY = json.dumps({"text": "A cat sleeps."}).encode()
CHANGING = {"date", "x-request-id", "server-timing", "retry-after", "content-length"}


def request(*fields, body=BODY, path="/v1/translate"):
    head = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


class Service:
    """A listener around an application that only says yes, and what decides who gets to it."""

    def __init__(self):
        self.settings = Settings(max_wait_seconds=1.0)
        self.metrics, self.lifecycle = Metrics(), Lifecycle()
        self.admission = Admission(self.settings, Pace(), Backlog())
        self.keeper = Doorkeeper()
        self.keeper.serve(self.admission)
        self.turnstile = Turnstile(self.keeper, self.metrics, self.lifecycle)
        self.parsed = 0
        self._full = contextlib.ExitStack()

    async def start(self):
        app = Boundary(self._say_yes, self.settings, self.metrics, self.lifecycle, self._refuse)
        bound = bind("127.0.0.1", 0)
        self.listener = Listener(app, bound, self.settings, self.metrics, self.turnstile)
        await self.listener.listen()
        self._reader, self._writer = await asyncio.open_connection(*bound.getsockname())

    async def stop(self):
        self._full.close()
        self._writer.close()
        await self.listener.close(1.0)

    def fill(self):
        self._full.enter_context(self.admission.reserve(HUGE))

    def empty(self):
        self._full.close()

    def _refuse(self, scope, body):
        self.parsed += 1
        return self.keeper.refusal(scope, body)

    async def _say_yes(self, scope, _receive, send):
        self.keeper.remember(scope, "local")
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"yes"})

    async def ask(self, *pieces):
        """Send one request on the one connection; gives status, headers, body."""
        for piece in pieces:
            self._writer.write(piece)
            await asyncio.sleep(0.02 if len(pieces) > 1 else 0)
        async with asyncio.timeout(SOON):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *fields = head.decode().split("\r\n")[:-2]
            headers = dict(field.split(": ", 1) for field in fields)
            body = await self._reader.readexactly(int(headers["content-length"]))
        return first, headers, body

    def counted(self, sample, **labels):
        return self.metrics.registry.get_sample_value(sample, labels)


@pytest.fixture
async def service():
    """A service without room, whose caller has passed the gate and was refused once."""
    service = Service()
    await service.start()
    assert (await service.ask(request()))[0] == "HTTP/1.1 200 OK"
    service.fill()
    service.first = await service.ask(request())
    assert service.parsed == 2
    yield service
    await service.stop()


async def test_the_same_head_gets_the_same_answer_without_being_parsed(service):
    first, again = service.first, await service.ask(request())
    assert service.parsed == 2
    assert again[0] == first[0] == "HTTP/1.1 503 Service Unavailable"
    assert again[1].keys() == first[1].keys()
    kept = first[1].keys() - CHANGING
    assert {name: again[1][name] for name in kept} == {name: first[1][name] for name in kept}
    one, other = json.loads(first[2]), json.loads(again[2])
    assert one.pop("request_id") == first[1]["x-request-id"]
    assert other.pop("request_id") == again[1]["x-request-id"] != first[1]["x-request-id"]
    assert one == other


async def test_another_text_of_the_same_length_is_turned_away_too(service):
    body = json.dumps({"text": "A dog sleeps."}).encode()
    assert (await service.ask(request(body=body)))[0].startswith("HTTP/1.1 503")
    assert service.parsed == 2


async def test_where_there_is_room_again_the_request_is_let_in(service):
    await service.ask(request())
    service.empty()
    assert (await service.ask(request()))[2] == b"yes"
    assert service.parsed == 3


async def test_who_no_longer_counts_as_known_is_not_turned_away(service):
    service.keeper._passed.clear()
    assert (await service.ask(request()))[2] == b"yes"


@pytest.mark.parametrize(
    "changed",
    [
        request("X-Api-Key: another"),
        request("X-Request-Id: 1"),
        request(path="/v1/align"),
        request(body=BODY + b" "),
        request("Idempotency-Key: 1"),
    ],
    ids=lambda sent: sent.split(b"\r\n\r\n")[0].split(b"\r\n")[-1].decode(),
)
async def test_another_head_is_parsed(service, changed):
    await service.ask(changed)
    assert service.parsed == 3


@pytest.mark.parametrize("field", ["Traceparent: 00-1-2-01", "Connection: x", "Expect: 100"])
async def test_heads_that_ask_for_more_are_not_remembered(service, field):
    await service.ask(request(field))
    await service.ask(request(field))
    assert service.parsed == 4


async def test_a_request_in_pieces_is_parsed(service):
    whole = request()
    for cut in (5, len(whole) - 3):
        parsed = service.parsed
        assert (await service.ask(whole[:cut], whole[cut:]))[0].startswith("HTTP/1.1 503")
        assert service.parsed == parsed + 1


async def test_two_requests_at_once_are_both_answered(service):
    service._writer.write(request())
    first, second = await service.ask(request()), await service.ask()
    assert first[0] == second[0] == "HTTP/1.1 503 Service Unavailable"


async def test_a_service_that_stops_closes_the_connection_behind_its_answer(service):
    service.lifecycle.drain()
    assert (await service.ask(request()))[1]["connection"] == "close"


async def test_the_callers_own_id_is_repeated(service):
    for _ in range(2):
        answer = await service.ask(request("X-Request-Id: mine"))
        assert answer[1]["x-request-id"] == json.loads(answer[2])["request_id"] == "mine"
    assert service.parsed == 3


async def test_those_turned_away_are_counted_and_told_in_one_line(service, monkeypatch, caplog):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.2)
    with caplog.at_level(logging.INFO, "app.turnstile"):
        for _ in range(3):
            await service.ask(request())
        async with asyncio.timeout(SOON):
            while not caplog.records:
                await asyncio.sleep(0.01)
    labels = {"route": "/v1/translate", "method": "POST", "status": "503"}
    assert service.counted("softalign_requests_total", **labels) == 4
    assert service.counted("softalign_rejections_total", reason="overloaded") == 4
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("3 requests")


async def test_neither_keys_nor_texts_are_kept(service):
    secret = "sk_very_secret"
    await service.ask(request(f"X-Api-Key: {secret}"))
    for _ in range(2):
        await service.ask(request(f"X-Api-Key: {secret}"))
    kept = repr(vars(service.turnstile))
    assert secret not in kept
    assert "cat" not in kept


async def test_no_more_heads_are_remembered_than_there_is_room_for(service, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 1)
    await service.ask(request("X-Request-Id: 1"))
    await service.ask(request("X-Request-Id: 1"))
    assert service.parsed == 3
    await service.ask(request())
    assert service.parsed == 4
