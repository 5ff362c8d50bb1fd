"""Turns away at once those who would be turned away anyway, outside the framework.

Under overload most requests are refused, and what refusing costs is taken from those who are let
in: routing, validation and error handling keep the event loop busy, and with it Python's lock. Here
only what admission needs is looked at. Who asks is known without asking anybody: whoever passed the
gate a moment ago with the same headers. Who did not, and whatever is not plain, takes the long way.
"""

import hashlib
import json
import time
from collections import OrderedDict

from starlette.types import Scope

from app.admission import Admission, Claim, guess_lane, guess_load
from app.authentication import VERDICT_SECONDS
from app.client_address import FORWARDING_HEADERS
from app.errors import OverloadedError
from app.reply import header_values

PATHS = frozenset({"/v1/translate", "/v1/align"})
"""Where the network is asked, so that there may be no room."""

TELLING_HEADERS = frozenset({b"authorization", b"x-api-key", *FORWARDING_HEADERS})
"""What the gate reads to tell callers apart, besides the address."""

MOST_BYTES = 4_096
"""Of a body that is looked at; a larger one costs more to read than the long way does."""

MAX_REMEMBERED = 10_000


class Doorkeeper:
    """Remembers who passed the gate; every method belongs to the event loop."""

    def __init__(self) -> None:
        self._admission: Admission | None = None
        self._passed: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def serve(self, admission: Admission) -> None:
        """Ask `admission` from now on whether there is room."""
        self._admission = admission

    def remember(self, scope: Scope, identity: str) -> None:
        """This caller has just passed the gate on the way to the network."""
        if scope["path"] in PATHS:
            looks = looks_of(scope)
            self._passed[looks] = (identity, time.monotonic())
            self._passed.move_to_end(looks)
            while len(self._passed) > MAX_REMEMBERED:
                self._passed.popitem(last=False)

    def refusal(self, scope: Scope, body: bytes) -> OverloadedError | None:
        """The error that this request would meet behind the gate, where that is certain.

        A query may hold a key, and the key of an idempotent request may bring a stored answer
        without any work: both take the long way.
        """
        if self._admission is None or scope["path"] not in PATHS or scope["method"] != "POST":
            return None
        if scope["query_string"] or header_values(scope["headers"], b"idempotency-key"):
            return None
        return self.refusal_of(looks_of(scope), body)

    def refusal_of(self, looks: bytes, body: bytes) -> OverloadedError | None:
        """The same for a plain request of whoever looks like that (`looks_of`)."""
        if self._admission is None:
            return None
        identity, passed_at = self._passed.get(looks, ("", -VERDICT_SECONDS))
        if time.monotonic() - passed_at >= VERDICT_SECONDS:
            return None
        claim = least_claim(body, identity)
        refusal = None if claim is None else self._admission.refusal(claim)
        return refusal if isinstance(refusal, OverloadedError) else None


def least_claim(body: bytes, identity: str) -> Claim | None:
    """The least that a plain interactive request can ask for; None for all others."""
    try:
        fields = json.loads(body) if len(body) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or "lane" in fields:
        return None
    texts = fields.get("text", fields.get("source"))
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return None
    load = guess_load(texts)
    if guess_lane(load) != "interactive":
        return None
    return Claim(identity, "interactive", load, work=0.0, seconds=float("inf"))


def looks_of(scope: Scope) -> bytes:
    """All that the gate tells callers apart by, as a digest: keys are not kept."""
    digest = hashlib.blake2b(repr(scope.get("client") and scope["client"][0]).encode())
    for name, value in scope["headers"]:
        if name in TELLING_HEADERS:
            digest.update(repr((name, value)).encode())
    return digest.digest()
