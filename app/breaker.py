"""A circuit breaker: what just failed is left alone for a while, so that nobody waits for it."""

import time
from collections.abc import Callable


class Breaker:
    """Closed lets everybody through, open nobody; after `seconds` one caller at a time may try."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._closed_again_at: float | None = None

    @property
    def is_open(self) -> bool:
        """True from a failure to the next success."""
        return self._closed_again_at is not None

    def allows(self) -> bool:
        """Whether to try now. While open, this is True once in `seconds`: for the probe."""
        if self._closed_again_at is None:
            return True
        now = self._clock()
        if now < self._closed_again_at:
            return False
        self._closed_again_at = now + self._seconds
        return True

    def succeeded(self) -> None:
        """It works: let everybody through."""
        self._closed_again_at = None

    def failed(self) -> None:
        """It does not: keep callers away."""
        self._closed_again_at = self._clock() + self._seconds
