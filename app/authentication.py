"""Who is asking: the owner behind a key, or, where no key was ever made, whoever can connect."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.client_address import Client
from app.errors import AccessError, ServiceError, StorageUnavailableError
from app.keys import DEFAULT_SCOPES, SCOPES, PresentedKey, Scope, read_key
from app.settings import Settings
from app.storage.api_keys import ApiKey, ApiKeys
from app.storage.clock import Clock, utc_microseconds

T = TypeVar("T")

VERDICT_SECONDS = 5.0
"""How long an answer of the database is taken for true: a revoked key dies within it."""

STALE_SECONDS = 600.0
"""While the database is away, keys that were good go on for so long."""

PATIENCE_SECONDS = 0.1
"""Longest wait for the database where it was asked before: a silent one holds nobody up."""

MAX_VERDICTS = 10_000

LOCAL_OWNER = "local"
SHARED_OWNER = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do."""

    owner: str
    """Whose records these are."""
    scopes: frozenset[Scope]
    identity: str
    """What limits count by: a key or an address."""
    is_limited: bool = True
    is_shared: bool = False
    """Strangers to each other under one owner: they reach a record by its id alone."""


@dataclass(slots=True)
class _Verdict:
    key: ApiKey | None
    asked_at: float


class Authenticator:
    """Looks keys up, and remembers for a few seconds what it found."""

    def __init__(self, keys: ApiKeys, settings: Settings, clock: Clock = utc_microseconds) -> None:
        self._keys = keys
        self._environment = settings.key_environment
        self._allows_anonymous = settings.allow_anonymous
        self._clock = clock
        self._verdicts: OrderedDict[str, _Verdict] = OrderedDict()
        self._keys_exist = False
        self._keys_asked_at: float | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._asking: dict[str, asyncio.Task[Any]] = {}
        """Questions on their way, by what they are about: the id of a key, or "" for all."""

    async def caller(self, headers: Iterable[tuple[bytes, bytes]], client: Client) -> Caller:
        """Who sends these headers.

        Raises:
            AccessError: `unauthorized`: a key is needed, and there is none or not a good one.
            StorageUnavailableError: the database is away and the key was not seen before.
        """
        texts = presented_keys(headers)
        if texts:
            presented = read_key(texts[0], self._environment) if len(texts) == 1 else None
            key = None if presented is None else await self._good_key(presented)
            if key is None:
                raise unauthorized("This key is not valid, or there is more than one.")
            scopes = frozenset(scope for scope in SCOPES if scope in key.scopes)
            return Caller(key.owner, scopes, f"key:{key.kid}")
        if await self._are_keys_needed():
            raise unauthorized("Send a key: `Authorization: Bearer …` or `X-API-Key`.")
        if client.is_local:
            everything = frozenset(SCOPES)
            return Caller(LOCAL_OWNER, everything, "local", is_limited=False)
        if self._allows_anonymous:
            address = f"address:{client.network}"
            return Caller(SHARED_OWNER, frozenset(DEFAULT_SCOPES), address, is_shared=True)
        raise unauthorized(
            "This service has no keys yet and so answers its own machine only. Its operator makes "
            "one with `python -m app keys create`."
        )

    async def close(self) -> None:
        """Wait for what runs in the background."""
        if running := {*self._background, *self._asking.values()}:
            await asyncio.wait(running)

    async def _good_key(self, presented: PresentedKey) -> ApiKey | None:
        key = await self._look_up(presented.kid)
        if key is None or not key.is_good(presented.secret_hash, self._clock()):
            return None
        return key

    async def _look_up(self, kid: str) -> ApiKey | None:
        verdict = self._verdicts.get(kid)
        age = float("inf") if verdict is None else time.monotonic() - verdict.asked_at
        if verdict is not None and age < VERDICT_SECONDS:
            return verdict.key
        if verdict is None or verdict.key is None or age >= STALE_SECONDS:
            return await self._ask(kid)
        return await self._soon(kid, lambda: self._ask(kid), verdict.key)

    async def _soon(self, subject: str, ask: Callable[[], Coroutine[Any, Any, T]], known: T) -> T:
        """What the database says, if it does so at once; else what is known, while it is asked."""
        task: asyncio.Task[T] | None = self._asking.get(subject)
        if task is None:
            task = self._asking[subject] = asyncio.ensure_future(ask())
            task.add_done_callback(lambda done: self._answered(subject, done))
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done() or isinstance(task.exception(), StorageUnavailableError):
            return known
        return task.result()

    def _answered(self, subject: str, task: asyncio.Task[Any]) -> None:
        del self._asking[subject]
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as forgotten

    async def _ask(self, kid: str) -> ApiKey | None:
        key = await self._keys.find(kid)
        self._verdicts[kid] = _Verdict(key, time.monotonic())
        self._verdicts.move_to_end(kid)
        while len(self._verdicts) > MAX_VERDICTS:
            self._verdicts.popitem(last=False)
        if key is not None:
            self._in_background(self._note_use(key))
        return key

    async def _are_keys_needed(self) -> bool:
        now = time.monotonic()
        asked_at = self._keys_asked_at
        if self._keys_exist or (asked_at is not None and now - asked_at < VERDICT_SECONDS):
            return self._keys_exist
        if asked_at is None:  # no answer is not the answer that nobody needs a key
            await self._ask_for_keys()
        else:
            await self._soon("", self._ask_for_keys, known=False)
        self._keys_asked_at = now
        return self._keys_exist

    async def _ask_for_keys(self) -> bool:
        # Noted here, since whoever asked may have stopped waiting by the time of the answer.
        self._keys_exist = await self._keys.exist()
        return self._keys_exist

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _note_use(self, key: ApiKey) -> None:
        try:
            await self._keys.note_use(key)
        except ServiceError:
            return  # when a key was used last is not worth a failure


def presented_keys(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """All keys that a request sends in its headers; there should be one."""
    found = []
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name == b"x-api-key":
            found.append(text)
        elif name == b"authorization":
            scheme, _, credentials = text.partition(" ")
            found.append(credentials.strip() if scheme.lower() == "bearer" else "")
    return found


def unauthorized(detail: str) -> AccessError:
    """The error of a request that needs a good key."""
    error = AccessError("unauthorized", detail)
    error.headers["WWW-Authenticate"] = "Bearer"
    return error
