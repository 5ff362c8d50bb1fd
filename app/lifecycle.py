"""Where a service is in its life: it answers, it drains, or it has failed for good.

The server (`app/server.py`) and the supervisor write it, readiness and the boundary read it. All on
the event loop's thread.
"""

import asyncio


class Lifecycle:
    """One for each service; a drain or a failure is never taken back."""

    def __init__(self) -> None:
        self.draining = False
        """True from the first signal to stop on: not ready, though requests are still answered."""
        self.failure: str | None = None
        """Why the process has to end, where it cannot recover."""
        self._failed = asyncio.Event()

    def drain(self) -> None:
        """Take no part in load balancing any more."""
        self.draining = True

    def fail(self, reason: str) -> None:
        """Ask the process to end; `reason` is one line for the operator."""
        if self.failure is None:
            self.failure = reason
            self._failed.set()

    async def failed(self) -> str:
        """Wait for a failure; gives its reason."""
        await self._failed.wait()
        assert self.failure is not None
        return self.failure
