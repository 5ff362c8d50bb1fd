"""Work between two waits of a request: where it is if it is short, in a thread if it is long.

A thread takes no time off Python's lock: the event loop, the decoding thread and it take turns at
that. Handing over costs a tenth of a millisecond, and more while the others want their turn. What a
thread is good for is that a long piece of work does not keep the loop from everybody else.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def take_turn(work: Callable[[], T], *, is_short: bool) -> T:
    """What `work` gives; the event loop goes on meanwhile unless it takes a few milliseconds."""
    return work() if is_short else await asyncio.to_thread(work)
