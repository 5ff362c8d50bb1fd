"""A load whose callers do as told: one key a request, repeated until it is acknowledged."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import quantiles

import httpx

PATIENCE_SECONDS = 60.0
"""How long a caller goes on repeating one request."""

SENTENCES = (
    "The cat sleeps on the sofa.",
    "We walked home in the rain.",
    "Please close the door behind you.",
    "She has never seen the sea.",
)


@dataclass(slots=True)
class Phase:
    """What callers met between two moments."""

    name: str
    began: float = field(default_factory=time.monotonic)
    acknowledged: list[float] = field(default_factory=list)
    """When each acknowledgement came."""
    seconds: list[float] = field(default_factory=list)
    """From the first try of each request to its acknowledgement."""
    refusals: dict[str, int] = field(default_factory=dict)
    """Answers that made a caller repeat its request, by status and code."""

    def count(self, refusal: str) -> None:
        self.refusals[refusal] = self.refusals.get(refusal, 0) + 1

    def line(self) -> str:
        """One line for a person."""
        moments = [self.began, *self.acknowledged]
        gap = max(after - before for before, after in pairwise(moments))
        cuts = quantiles(self.seconds, n=100)
        refusals = ", ".join(f"{count} × {name}" for name, count in sorted(self.refusals.items()))
        return (
            f"{self.name:34} {len(self.acknowledged):5} acknowledged, "
            f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, longest silence {gap:.2f} s; "
            f"repeated after: {refusals or 'nothing'}"
        )


class KeyedLoad:
    """Callers side by side, as `async with`; each asks again once it is answered."""

    def __init__(self, url: str, key: str, callers: int) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(45.0),
            limits=httpx.Limits(max_connections=2 * callers),
        )
        self._callers = callers
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.phases = [Phase("warm-up")]
        self.acknowledged: dict[str, str] = {}
        """The id that each key was answered with."""
        self.given_up: list[str] = []

    async def __aenter__(self) -> "KeyedLoad":
        self._tasks = [asyncio.create_task(self._call(n)) for n in range(self._callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.finish()
        await self._client.aclose()

    def begin(self, name: str) -> None:
        """Count under another name from now on."""
        self.phases.append(Phase(name))

    async def finish(self) -> None:
        """Let every caller end with the request that it has begun."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _call(self, number: int) -> None:
        while not self._stopping:
            number += 1
            await self._ask(secrets.token_urlsafe(12), SENTENCES[number % len(SENTENCES)])

    async def _ask(self, key: str, text: str) -> None:
        began = time.monotonic()
        while time.monotonic() < began + PATIENCE_SECONDS:
            wait = await self._try(key, text, began)
            if wait is None:
                return
            await asyncio.sleep(wait)
        self.given_up.append(key)

    async def _try(self, key: str, text: str, began: float) -> float | None:
        """None when it is acknowledged, else the seconds to wait before another try."""
        body = {
            "text": text,
            "source_lang": "en",
            "target_lang": "fr",
            "decoding": {"beam_size": 1},
        }
        try:
            answer = await self._client.post(
                "/v1/translate", json=body, headers={"Idempotency-Key": key}
            )
        except httpx.TransportError as error:
            self.phases[-1].count(type(error).__name__)
            return 0.2
        if answer.status_code != 200:
            self.phases[-1].count(f"{answer.status_code} {answer.json().get('code')}")
            return float(answer.headers.get("retry-after", 0.2))
        now = time.monotonic()
        self.phases[-1].acknowledged.append(now)
        self.phases[-1].seconds.append(now - began)
        self.acknowledged[key] = answer.json()["id"]
        return None

    # What is true afterwards.

    async def missing(self) -> list[str]:
        """Acknowledged ids that cannot be fetched."""
        gone = []
        for record in self.acknowledged.values():
            answer = await self._client.get(f"/v1/translations/{record}")
            if answer.status_code != 200 or answer.json()["id"] != record:
                gone.append(record)
        return gone

    async def stored(self) -> list[str]:
        """Ids of all records of the caller, page by page."""
        ids: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await self._client.get("/v1/translations", params={"limit": "100", **cursor})
            page = answer.raise_for_status().json()
            ids += [record["id"] for record in page["translations"]]
            if page["next_cursor"] is None:
                return ids
            cursor = {"cursor": page["next_cursor"]}
