"""The clock of what is stored: it outlives the process, so it is the wall clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

SECOND = 1_000_000
"""Microseconds."""

Clock = Callable[[], int]
"""Gives whole microseconds since 1970 in UTC."""


def utc_microseconds() -> int:
    """The time now."""
    return time.time_ns() // 1_000


def rfc3339(microseconds: int) -> str:
    """A stored time as responses show it: UTC, whole seconds."""
    moment = datetime.fromtimestamp(microseconds // SECOND, UTC)
    return moment.isoformat().replace("+00:00", "Z")
