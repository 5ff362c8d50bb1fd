"""Quotas of one caller: requests in a minute and in a second, pieces in a minute.

Windows slide: the previous one counts for the part of it that is still within the last minute. The
counters are in this process, or in Redis, where all replicas share them. While Redis is away each
replica goes on counting by itself and grants its part of a quota: nobody waits, nobody is let off.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.limits import RateLimitItem

from app.authentication import Caller
from app.breaker import Breaker
from app.client_address import Client
from app.errors import RateLimitedError
from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool

REDIS_SECONDS = 0.1
"""Longest wait for Redis; after a failure it is left alone for `REDIS_AWAY_SECONDS`."""

REDIS_AWAY_SECONDS = 5.0
MAX_CONNECTIONS = 64

SWEEP_SECONDS = 1.0
"""Between two looks through the counters of this process for those that are over."""


@dataclass(frozen=True, slots=True)
class Quota:
    """So many units in a window."""

    name: str
    """As the headers call it."""
    amount: int
    seconds: int

    def item(self, replicas: int) -> RateLimitItem:
        """The quota in the words of the library; one replica's part of it."""
        amount = max(1, self.amount // replicas)
        kind = RateLimitItemPerSecond if self.seconds == 1 else RateLimitItemPerMinute
        return kind(amount, 1, f"softalign-{self.name}")


@dataclass(frozen=True, slots=True)
class Level:
    """What is left of a quota, and in how many seconds there is more."""

    remaining: int
    seconds: int


class SweptStorage(MemoryStorage):
    """Counters of this process, looked through now and then for those that are over.

    The library does so at every hit, and so each request would pay for all addresses that were
    counted in the last two minutes: milliseconds of the event loop from a few thousand on.
    """

    _rest: asyncio.Task[None] | None = None

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count; as in the library, but for the sweep."""
        self._put_off_sweep()
        return await super().incr(key, expiry, amount)

    async def decr(self, key: str, amount: int = 1) -> int:
        """Count back; likewise."""
        self._put_off_sweep()
        return await super().decr(key, amount)

    def close(self) -> None:
        """Sweep no more."""
        if self.timer is not None:
            self.timer.cancel()

    def _put_off_sweep(self) -> None:
        """The library sweeps where `timer`, the sweep before, is done: a rest comes in between."""
        if self.timer is not None and self.timer.done() and self.timer is not self._rest:
            self.timer = self._rest = asyncio.create_task(asyncio.sleep(SWEEP_SECONDS))


class Counters:
    """Counts in Redis where there is one, and in this process while it does not answer."""

    def __init__(self, redis_url: str | None, replicas: int) -> None:
        self._own_storage = SweptStorage()
        self._local = SlidingWindowCounterRateLimiter(self._own_storage)
        self._replicas = replicas
        self._breaker = Breaker(REDIS_AWAY_SECONDS)
        self._pool: BlockingConnectionPool | None = None
        self._shared: SlidingWindowCounterRateLimiter | None = None
        if redis_url is not None:
            self._pool = _redis_pool(redis_url)
            # The library's annotation knows plain options only.
            options: dict[str, Any] = {"connection_pool": self._pool}
            storage = RedisStorage(
                f"async+{redis_url}", wrap_exceptions=True, implementation="redispy", **options
            )
            self._shared = SlidingWindowCounterRateLimiter(storage)

    @property
    def is_degraded(self) -> bool:
        """Whether Redis does not answer."""
        return self._breaker.is_open

    async def take(self, quota: Quota, identity: str, cost: int = 1) -> bool:
        """Take `cost` units from the quota of `identity`; False, and nothing taken, if too few."""
        if self._shared is not None and self._breaker.allows():
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    taken = await self._shared.hit(quota.item(1), identity, cost=cost)
            except (StorageError, OSError):  # TimeoutError is an OSError
                self._breaker.failed()
            else:
                self._breaker.succeeded()
                return taken
        return await self._local.hit(self._local_item(quota), identity, cost=cost)

    async def level(self, quota: Quota, identity: str) -> Level:
        """What is left for `identity`."""
        if self._shared is not None and self._breaker.allows():
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    stats = await self._shared.get_window_stats(quota.item(1), identity)
            except (StorageError, OSError):
                self._breaker.failed()
            else:
                self._breaker.succeeded()
                return _level(stats.remaining, stats.reset_time)
        stats = await self._local.get_window_stats(self._local_item(quota), identity)
        return _level(stats.remaining, stats.reset_time)

    async def close(self) -> None:
        """Close the connections to Redis, and end the sweeps."""
        self._own_storage.close()
        if self._pool is not None:
            await self._pool.aclose()

    def _local_item(self, quota: Quota) -> RateLimitItem:
        return quota.item(1 if self._shared is None else self._replicas)


class RateLimits:
    """The quotas that the settings grant, for keys and for addresses."""

    def __init__(self, counters: Counters, settings: Settings) -> None:
        self._counters = counters
        of_keys = [
            Quota("requests", settings.key_requests_per_minute, 60),
            Quota("burst", settings.key_requests_per_second, 1),
        ]
        of_addresses = [Quota("requests", settings.address_requests_per_minute, 60)]
        self._of_keys = [quota for quota in of_keys if quota.amount]
        self._of_addresses = [quota for quota in of_addresses if quota.amount]
        self._tokens = Quota("tokens", settings.key_tokens_per_minute, 60)
        self._failures = Quota("failed-keys", settings.failed_keys_per_minute, 60)

    async def admit(self, caller: Caller) -> Mapping[str, str]:
        """Count one request; gives the headers that tell what is left.

        Raises:
            RateLimitedError: none is left; nothing of it was done.
        """
        if not caller.is_limited:
            return {}
        quotas = self._of_addresses if caller.is_shared else self._of_keys
        # The longer window first: a burst that it refuses must not use up the shorter one.
        for quota in quotas:
            if not await self._counters.take(quota, caller.identity):
                raise await self._refusal(quota, caller)
        if self._tokens.amount:
            quotas = [*quotas, self._tokens]
            left = await self._counters.level(self._tokens, caller.identity)
            if left.remaining <= 0:
                raise await self._refusal(self._tokens, caller)
        return await self._headers(quotas, caller)

    async def charge(self, caller: Caller, tokens: int) -> None:
        """Count the pieces of a request that was answered: the next one pays for a large one."""
        if not caller.is_limited or not self._tokens.amount:
            return
        left = await self._counters.level(self._tokens, caller.identity)
        cost = min(tokens, left.remaining)
        if cost > 0:
            await self._counters.take(self._tokens, caller.identity, cost)

    async def count_failed_key(self, client: Client) -> None:
        """Count a key that is no good; raises RateLimitedError when there were too many."""
        quota = self._failures
        if not quota.amount or await self._counters.take(quota, client.network):
            return
        left = await self._counters.level(quota, client.network)
        raise RateLimitedError("Too many keys from this address are not valid.", left.seconds)

    async def _refusal(self, quota: Quota, caller: Caller) -> RateLimitedError:
        left = await self._counters.level(quota, caller.identity)
        window = "second" if quota.seconds == 1 else f"{quota.seconds} seconds"
        unit = "pieces" if quota is self._tokens else "requests"
        error = RateLimitedError(
            f"{quota.amount} {unit} are granted in one {window}; see Retry-After.", left.seconds
        )
        error.headers.update(_headers([(quota, left)]))
        return error

    async def _headers(self, quotas: list[Quota], caller: Caller) -> Mapping[str, str]:
        levels = await asyncio.gather(
            *(self._counters.level(quota, caller.identity) for quota in quotas)
        )
        return _headers(list(zip(quotas, levels, strict=True)))


def _headers(levels: list[tuple[Quota, Level]]) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not levels:
        return {}
    policy = ", ".join(f'"{quota.name}";q={quota.amount};w={quota.seconds}' for quota, _ in levels)
    left = ", ".join(
        f'"{quota.name}";r={level.remaining};t={level.seconds}' for quota, level in levels
    )
    return {"RateLimit-Policy": policy, "RateLimit": left}


def _level(remaining: int, reset_time: float) -> Level:
    return Level(remaining, max(1, math.ceil(reset_time - time.time())))


def _redis_pool(url: str) -> "BlockingConnectionPool":
    try:
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise SettingsError(
            "SOFTALIGN_REDIS_URL needs the extra `redis`: pip install 'softalign[redis]'"
        ) from None
    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # Its own message quotes the URL, and with it the password.
        raise SettingsError(
            "SOFTALIGN_REDIS_URL is not a URL such as redis://:password@host:6379/0"
        ) from None
