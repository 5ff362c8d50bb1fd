"""Quotas: counted in this process, in Redis, and in this process again while Redis is away."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.authentication import Caller
from app.client_address import Client
from app.errors import RateLimitedError
from app.rate_limits import Counters, Quota, RateLimits, SweptStorage
from app.settings import Settings, SettingsError
from tests.servers import RedisServer, find_program

pytestmark = pytest.mark.anyio

QUOTA = Quota("test", 4, 60)


@pytest.fixture(autouse=True)
def _away_from_the_end_of_a_minute() -> None:
    """Just after it, what was counted before counts a little less: a test may not span it."""
    if (left := 60 - time.time() % 60) < 3:
        time.sleep(left)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    url = os.environ.get("SOFTALIGN_TEST_REDIS_URL")
    if url is None and not find_program("redis-server"):
        pytest.skip("no Redis: install redis-server, or name one in SOFTALIGN_TEST_REDIS_URL")
    server = RedisServer(url)
    yield server
    server.stop()


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest):
    url = request.getfixturevalue("redis").url if request.param == "redis" else None
    counters = Counters(url, replicas=1)
    yield counters
    assert counters.is_degraded is False
    await counters.close()


async def test_a_flood_of_addresses_is_not_looked_through_at_every_hit(monkeypatch):
    storage = SweptStorage()
    monkeypatch.setattr("app.rate_limits.SWEEP_SECONDS", 60.0)
    sweeps = set()
    for number in range(50):
        await storage.incr(f"address {number}", 120)
        sweeps.add(storage.timer)
        await asyncio.sleep(0)
    assert len(sweeps) == 2, "one sweep, and the rest behind it"
    storage.close()


async def test_counters_that_are_over_are_forgotten(monkeypatch):
    storage = SweptStorage()
    monkeypatch.setattr("app.rate_limits.SWEEP_SECONDS", 0.0)
    await storage.incr("over", 0)
    async with asyncio.timeout(60):
        while "over" in storage.expirations:
            await storage.incr("other", 120)
            await asyncio.sleep(0.01)
    assert storage.storage["over"] == 0
    storage.close()


def caller(identity="key:abc", **fields):
    return Caller("ann", frozenset(), f"{identity}-{os.getpid()}", **fields)


def limits(counters, **fields):
    ours = {"key_requests_per_minute": 5, "key_requests_per_second": 0, "key_tokens_per_minute": 0}
    return RateLimits(counters, Settings(**{**ours, **fields}))


async def admitted(quotas, who, times=50):
    count = 0
    for _ in range(times):
        try:
            await quotas.admit(who)
        except RateLimitedError:
            return count
        count += 1
    return count


async def test_a_quota_is_granted_exactly_and_to_each_caller(counters):
    quotas = limits(counters)
    assert await admitted(quotas, caller("key:one")) == 5
    assert await admitted(quotas, caller("key:two")) == 5
    assert await admitted(quotas, caller("key:one")) == 0


async def test_headers_tell_what_is_left_and_a_refusal_when_there_is_more(counters):
    quotas = limits(counters)
    headers = await quotas.admit(caller())
    assert headers["RateLimit-Policy"] == '"requests";q=5;w=60'
    assert headers["RateLimit"].startswith('"requests";r=4;t=')
    await admitted(quotas, caller())
    with pytest.raises(RateLimitedError) as raised:
        await quotas.admit(caller())
    assert raised.value.code == "rate_limited"
    assert 1 <= int(raised.value.headers["Retry-After"]) <= 120
    assert raised.value.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert "5 requests are granted in one 60 seconds" in raised.value.detail


async def test_a_burst_has_a_quota_of_its_own(counters):
    quotas = limits(counters, key_requests_per_minute=40, key_requests_per_second=3)
    # A slow machine may reach into a second window; it never grants the whole minute.
    assert 3 <= await admitted(quotas, caller(), times=30) < 30


async def test_pieces_are_paid_for_afterwards(counters):
    quotas = limits(counters, key_requests_per_minute=0, key_tokens_per_minute=1_000)
    who = caller()
    headers = await quotas.admit(who)
    assert headers["RateLimit"].startswith('"tokens";r=1000;')
    await quotas.charge(who, 700)
    assert (await quotas.admit(who))["RateLimit"].startswith('"tokens";r=300;')
    await quotas.charge(who, 5_000)
    with pytest.raises(RateLimitedError, match="1000 pieces are granted"):
        await quotas.admit(who)


async def test_callers_without_a_key_count_by_address(counters):
    quotas = limits(counters, address_requests_per_minute=2)
    assert await admitted(quotas, caller("address:192.0.2.7", is_shared=True)) == 2
    assert await admitted(quotas, caller("address:192.0.2.8", is_shared=True)) == 2


async def test_this_machine_has_no_quota(counters):
    quotas = limits(counters, key_requests_per_minute=1)
    assert await admitted(quotas, caller(is_limited=False)) == 50
    await quotas.charge(caller(is_limited=False), 10**9)


async def test_a_quota_of_zero_is_no_limit(counters):
    quotas = limits(counters, key_requests_per_minute=0)
    assert await quotas.admit(caller()) == {}


async def test_bad_keys_have_a_quota_that_good_ones_do_not_share(counters):
    quotas = limits(counters, failed_keys_per_minute=3)
    where = Client("192.0.2.7", is_local=False)
    for _ in range(3):
        await quotas.count_failed_key(where)
    with pytest.raises(RateLimitedError):
        await quotas.count_failed_key(where)
    assert await admitted(quotas, caller()) == 5


async def test_replicas_count_together_in_redis(redis):
    replicas = [Counters(redis.url, replicas=2) for _ in range(2)]
    taken = [await replicas[turn % 2].take(QUOTA, f"both-{os.getpid()}") for turn in range(8)]
    assert taken == [True] * 4 + [False] * 4
    for counters in replicas:
        await counters.close()


async def take_until_refused(counters, identity):
    taken = 0
    while await counters.take(QUOTA, identity):
        taken += 1
    return taken


@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_without_redis_each_replica_grants_its_part(redis, fault):
    if not redis.is_private:
        pytest.skip("SOFTALIGN_TEST_REDIS_URL names a server that is not ours to stop")
    counters = Counters(redis.url, replicas=2)
    assert await counters.take(QUOTA, "before")
    if fault == "killed":
        redis.kill()
    else:
        redis.process.send_signal(signal.SIGSTOP)
    assert await take_until_refused(counters, "during") == 2
    assert (await counters.level(QUOTA, "during")).remaining == 0
    assert counters.is_degraded
    await counters.close()


async def test_redis_is_found_again(redis, monkeypatch):
    if not redis.is_private:
        pytest.skip("SOFTALIGN_TEST_REDIS_URL names a server that is not ours to stop")
    monkeypatch.setattr("app.rate_limits.REDIS_AWAY_SECONDS", 0.0)
    counters = Counters(redis.url, replicas=2)
    redis.kill()
    assert await counters.take(QUOTA, "one")
    assert counters.is_degraded
    redis.start()
    assert await take_until_refused(counters, "two") == 4
    assert not counters.is_degraded
    await counters.close()


@pytest.mark.parametrize(
    "answer",
    [b"-OOM command not allowed\r\n", b"-READONLY replica\r\n", b"-LOADING\r\n", b"nonsense", b""],
)
async def test_a_redis_that_answers_with_an_error_is_as_good_as_away(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_all, args=(listener, answer), daemon=True)
        thread.start()
        counters = Counters(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", replicas=4)
        assert await take_until_refused(counters, "anyone") == 1
        assert counters.is_degraded
        await counters.close()


def answer_all(listener: socket.socket, answer: bytes) -> None:
    """Give every command of every connection the same answer."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            while connection.recv(65_536):
                if not answer:
                    break
                connection.sendall(answer * 4)


async def test_a_redis_address_that_cannot_be_used_is_told_without_its_password():
    with pytest.raises(SettingsError, match="SOFTALIGN_REDIS_URL") as raised:
        Counters("nonsense://:secret@host", replicas=1)
    assert "secret" not in str(raised.value)
