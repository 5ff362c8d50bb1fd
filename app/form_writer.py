"""Writes alignments in the form that was asked for, without holding up the event loop."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from app.errors import DeadlineError, NotReadyError, OverloadedError
from app.formats.aligned import AlignedText, FormatOptions
from app.formats.table import Format, write
from app.settings import Settings

PICTURES_AT_ONCE = 2
"""A picture takes a core for up to a second; decoding needs the others."""

MOST_PICTURES = 16
"""That are being drawn or wait for it."""


class FormWriter:
    """Draws at most two pictures at once; all other forms are written as they come."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pictures = ThreadPoolExecutor(PICTURES_AT_ONCE, thread_name_prefix="picture")
        self._in_hand = 0
        """Pictures that are being drawn or wait for it."""
        self._closed = False

    def close(self) -> None:
        """Draw no more; whoever waits for a picture is refused."""
        self._closed = True
        self._pictures.shutdown(wait=False, cancel_futures=True)

    async def write(
        self, aligned: AlignedText, form: Format, options: FormatOptions, deadline: float
    ) -> bytes:
        """`aligned` in `form`.

        `deadline` is a time of `time.monotonic`. A caller who leaves frees a picture's place
        at once; only one that is being drawn already is drawn to its end.

        Raises:
            DeadlineError: it was not written in time.
            MatrixTooLargeError: see `app/formats/table.py`.
            NotReadyError: it is a picture, and the service is stopping.
            OverloadedError: too many pictures wait.
        """
        if form.is_drawn and self._closed:
            raise NotReadyError("The service is stopping.", self._settings.retry_after_seconds)
        if form.is_drawn and self._in_hand >= MOST_PICTURES:
            raise OverloadedError(self._settings.retry_after_seconds)
        pool = self._pictures if form.is_drawn else None
        self._in_hand += form.is_drawn
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.get_running_loop().run_in_executor(
                    pool, write, aligned, form, options, self._settings.max_matrix_cells
                )
        except TimeoutError:
            raise DeadlineError from None
        finally:
            self._in_hand -= form.is_drawn
