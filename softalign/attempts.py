"""One request until it is answered: what to send, what an answer means, how long to wait.

Nothing here waits or connects, so it serves the client that blocks and the one that is awaited.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from softalign.calls import Call
from softalign.errors import (
    SoftalignError,
    UnexpectedAnswerError,
    UnreachableError,
    error_of_answer,
)
from softalign.retries import (
    BROKEN_CONNECTIONS,
    NEVER_SENT,
    REPEATED_STATUSES,
    Retries,
    retry_after_seconds,
)


class Attempts:
    """The tries of one request."""

    def __init__(
        self, retries: Retries, call: Call, query: Mapping[str, Any] | None = None
    ) -> None:
        self._retries = retries
        self._call = call
        self._query = {**call.query, **(query or {})}
        self._failures = 0
        self._was_cut_off = False
        """Whether the service may have done what was asked, and its answer got lost."""
        self._pause = 0.0

    def request(self) -> dict[str, Any]:
        """What httpx is to send now."""
        call = self._call
        body = {} if call.body is None else {"json": call.body}
        return {
            "method": call.method,
            "url": call.path,
            "params": self._query,
            "headers": dict(call.headers),
            **body,
        }

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        return self._pause

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Around one try: swallows a broken connection that is worth another one.

        Raises UnreachableError for the last one.
        """
        try:
            yield
        except BROKEN_CONNECTIONS as error:
            self._was_cut_off |= not isinstance(error, NEVER_SENT)
            if not self._may_go_on(None):
                raise _unreachable(error, self._failures) from error
        except httpx.TransportError as error:
            raise _unreachable(error, self._failures + 1) from error

    def is_done(self, response: httpx.Response) -> bool:
        """Whether this is the answer; False where to try again. Raises SoftalignError."""
        if response.is_success:
            return True
        if self._was_cut_off and self._call.method == "DELETE" and response.status_code == 404:
            return True  # the try whose answer got lost has deleted it
        retry_after = retry_after_seconds(response.headers)
        if response.status_code in REPEATED_STATUSES and self._may_go_on(retry_after):
            return False
        if self._call.has_own_key and _refuses_key(response):
            self._call, self._pause = self._call.without_key(), 0.0
            return False
        raise error_of_answer(response.status_code, response.content, retry_after)

    def _may_go_on(self, retry_after: float | None) -> bool:
        self._failures += 1
        pause = self._retries.wait(self._failures, retry_after)
        self._pause = pause or 0.0
        return pause is not None


def http_settings(
    address: str, api_key: str | None, timeout: float | httpx.Timeout
) -> dict[str, Any]:
    """Arguments of both clients of httpx; the key goes into a header, never into an address."""
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    return {"base_url": address, "headers": headers, "timeout": timeout}


def check_stream(response: httpx.Response) -> None:
    """Raise UnexpectedAnswerError for a success that is no stream."""
    kind = response.headers.get("Content-Type", "")
    if not kind.startswith("text/event-stream"):
        raise UnexpectedAnswerError(f"expected a stream of events, got {kind or 'nothing'!r}")


def read_json(response: httpx.Response) -> dict[str, Any]:
    """The body of a success; raises UnexpectedAnswerError where it is none of ours."""
    try:
        document: dict[str, Any] = json.loads(response.content)
    except ValueError:
        raise UnexpectedAnswerError(
            f"status {response.status_code} without JSON: is this address a Softalign service?"
        ) from None
    return document


def _refuses_key(response: httpx.Response) -> bool:
    """A service that stores nothing has no use for idempotency keys, and says so."""
    error = error_of_answer(response.status_code, response.content, None)
    return any(one.pointer == "/store" for one in getattr(error, "errors", ()))


def _unreachable(error: httpx.TransportError, tries: int) -> SoftalignError:
    said = str(error) or type(error).__name__
    return UnreachableError(f"no answer after {tries} {'try' if tries == 1 else 'tries'}: {said}")
