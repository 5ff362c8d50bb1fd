"""Where log lines go: through a queue to a thread that writes, so that no request waits for it.

A full pipe, a full disk or a stopped log collector would otherwise stop the event loop in the
middle of a `write`. When the queue is full, lines are dropped and counted.
"""

import logging
import os
import queue
import threading
from collections.abc import MutableMapping
from typing import Any

import structlog

from app.metrics import Metrics
from app.request_log import places

CAPACITY = 10_000
"""Lines that wait for the writer; about three megabytes."""
MAX_FOREIGN_MESSAGE = 300
"""Longest message of another library, in characters."""
QUIET_LOGGERS = ("uvicorn.error", "alembic")
"""Libraries whose lines for the start and the end say nothing that ours do not."""

OWN_LOGGERS = ("app", "model")


class LogSink(logging.Handler):
    """Writes each record as one line of JSON to a file descriptor, from a thread of its own."""

    def __init__(self, descriptor: int, metrics: Metrics, capacity: int = CAPACITY) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._dropped = metrics.log_lines_dropped
        self._lines: queue.Queue[bytes] = queue.Queue(capacity)
        self.setFormatter(json_formatter())
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of `record`; drop it where the queue is full."""
        try:
            self._lines.put_nowait(self.format(record).encode() + b"\n")
        except queue.Full:
            self._dropped.inc()
        except Exception:  # noqa: BLE001 - a record that cannot be told must not stop a request
            self._dropped.inc()

    def drain(self, seconds: float) -> None:
        """Give the writer so much time to catch up, at most."""
        waiter = threading.Thread(target=self._lines.join, daemon=True)
        waiter.start()
        waiter.join(seconds)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                self._dropped.inc()
            finally:
                self._lines.task_done()


def json_formatter() -> logging.Formatter:
    """One line of ASCII JSON a record, whoever logs it."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=())],
        processors=[
            *shared,
            without_foreign_text,
            exception_places,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )


def without_foreign_text(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Cut what other libraries say to its first line: below it they quote objects and errors."""
    if str(event["logger"]).partition(".")[0] not in OWN_LOGGERS:
        first, _, _ = str(event["event"]).partition("\n")
        event["event"] = first[:MAX_FOREIGN_MESSAGE]
    return event


def exception_places(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Tell an exception by its type and places; its own words may quote a caller's text."""
    record: logging.LogRecord | None = event.get("_record")
    raised = event.pop("exc_info", None) or (record.exc_info if record else None)
    if isinstance(raised, tuple) and raised[0] is not None:
        event["exception"] = raised[0].__name__
        event["places"] = places(raised[2])
    return event


def send_all_logging_to(sink: LogSink) -> None:
    """Make `sink` the one place that this process logs to."""
    root = logging.getLogger()
    root.handlers[:] = [sink]
    root.setLevel(logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
