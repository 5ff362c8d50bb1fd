"""Reads HTTP/1.1 with a limit on how many chunks a body may come in.

Every chunk costs the event loop the same, however small it is: a body of 256 KiB in chunks of one
byte holds everybody up for seconds, within every limit on bytes.
"""

from typing import Any

import h11

MOST_CHUNKS = 2_048
"""Of one body; clients that stream send kilobytes at a time."""

TOO_MANY_CHUNKS = 413
"""The status in the error, by which it is told from others of a caller."""


class ChunkLimitedConnection(h11.Connection):
    """A server's side of one connection."""

    def __init__(self, max_incomplete_event_size: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size)
        self._chunks = 0

    def next_event(self) -> Any:  # noqa: ANN401 - h11's own union, with sentinels that have no type
        """The next event; raises `h11.RemoteProtocolError` for one chunk too many."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
        elif isinstance(event, h11.Data) and event.chunk_start:
            self._chunks += 1
            if self._chunks > MOST_CHUNKS:
                raise h11.RemoteProtocolError("too many chunks", error_status_hint=TOO_MANY_CHUNKS)
        return event
