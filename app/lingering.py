"""Closes a connection on which the caller may still be sending, so that the answer gets there.

A socket that is closed with bytes unread is reset by the kernel, and the reset throws away what the
caller has not read yet: instead of "the body is too large" they would see a broken connection. So
the sending side is closed first, what still comes is thrown away for a while, and then it ends
(nginx calls this `lingering_close`; RFC 9112, section 9.6).
"""

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_SECONDS = 2.0
"""Longest time for the caller to read the answer and stop sending."""

LINGER_BYTES = 4 * 2**20
"""Most bytes that are thrown away for them."""


class LingeringTransport(asyncio.Transport):
    """The transport of one connection; `is_sending` says whether its caller may still send."""

    def __init__(
        self,
        inner: asyncio.Transport,
        is_sending: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self._inner = inner
        self._is_sending = is_sending
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._discarded = 0

    @property
    def is_gone(self) -> bool:
        """Whether the connection is closed, and not only about to be."""
        return self._inner.is_closing()

    def is_closing(self) -> bool:
        """Whether nothing is read or answered any more."""
        return self._timer is not None or self._inner.is_closing()

    def close(self) -> None:
        """Close; at once where the caller has nothing left to send."""
        if self.is_closing():
            return
        if self._is_sending() and self._inner.can_write_eof():
            self._inner.write_eof()
            self._inner.resume_reading()
            self._timer = self._loop.call_later(LINGER_SECONDS, self._inner.close)
        else:
            self._inner.close()

    def discard(self, data: bytes) -> None:
        """Take what arrives after `close`."""
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.abort()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self.forget()
        self._inner.abort()

    def forget(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()

    # What is left to the transport itself.

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send."""
        self._inner.write(data)

    def get_write_buffer_size(self) -> int:
        """Bytes that were not sent yet."""
        return self._inner.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as asyncio has it
        """What asyncio knows of the connection."""
        return self._inner.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Let what comes wait."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Take it again."""
        self._inner.resume_reading()
