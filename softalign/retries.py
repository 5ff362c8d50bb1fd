"""Whether and when a request is tried again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

REPEATED_STATUSES = frozenset({429, 502, 503})
"""The service, or a proxy that did not reach it, asks to come back."""

BROKEN_CONNECTIONS = (
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
)
"""No answer came, and none is being waited for any more. A read that takes too long is not among
them: whoever has waited so long is told."""

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
"""Of these, the ones that befall a request before any of it has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How patient a client is.

    Waits grow exponentially and are drawn at random below their bound ("full jitter"), so that
    clients which failed together do not come back together. Where the service says `Retry-After`,
    nothing is sent before that.
    """

    attempts: int = 4
    """Tries of one request, the first included; 1 never tries again."""
    first_wait: float = 0.5
    """Upper bound of the first wait, in seconds; each further one is twice as long."""
    longest_wait: float = 30.0
    """No wait is longer; a `Retry-After` above it ends the tries at once."""
    draw: Callable[[], float] = random.random
    """Uniform between 0 and 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be meant."""
        if self.attempts < 1 or self.first_wait < 0 or self.longest_wait < 0:
            raise ValueError("attempts must be at least 1 and waits at least 0")

    def wait(self, failures: int, retry_after: float | None = None) -> float | None:
        """Seconds until the next try after so many `failures`; None where there is to be none."""
        if failures >= self.attempts:
            return None
        bound = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        if retry_after is None:
            return bound * self.draw()
        if retry_after > self.longest_wait:
            return None
        return retry_after + min(bound, self.longest_wait - retry_after) * self.draw()


def retry_after_seconds(headers: httpx.Headers, now: datetime | None = None) -> float | None:
    """The header `Retry-After` (RFC 9110, 10.2.3), which is seconds or a date; None without."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
