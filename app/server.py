"""Runs the listeners in one event loop, from bound sockets to the exit code.

uvicorn answers requests that outlast its grace with a bare 500 and ends with the signal's code.
Here the process itself decides: a signal makes the service not ready, it goes on answering for a
while, then refuses what is left with a 503, and ends with 0.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from app.admin import create_admin_app
from app.catalog import MakeNetwork, lean_network
from app.connections import LimitedProtocol, Turnstile, largest_head
from app.held_signals import release_hangups
from app.lifecycle import Lifecycle
from app.log_sink import LogSink, send_all_logging_to
from app.main import create_app
from app.metrics import Metrics
from app.models import LoadedModels, StartupError
from app.reload import Reloader
from app.service import Service
from app.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

STOPPED, BROKEN, OVERDUE = 0, 3, 4
"""Exit codes: after a signal to stop; where nothing helps; where stopping itself got stuck."""

CLOSING_SECONDS = 1.0
"""Time for the last responses to leave, after the time of `shutdown_seconds` is up."""


class Listener(uvicorn.Server):
    """A uvicorn server at one socket, whose signals and end are the process's business."""

    def __init__(
        self,
        app: FastAPI,
        bound: socket.socket,
        settings: Settings,
        metrics: Metrics,
        turnstile: Turnstile | None = None,
    ) -> None:
        protocol = partial(LimitedProtocol, settings=settings, metrics=metrics, turnstile=turnstile)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=largest_head(settings),
                timeout_keep_alive=settings.keep_alive_seconds,
            )
        )
        self._socket = bound
        self._listening = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._listening.set()

    async def listen(self) -> None:
        """Serve from now on; returns when connections are accepted. Raises StartupError."""
        self.task = asyncio.create_task(self.serve(sockets=[self._socket]))
        listening = asyncio.create_task(self._listening.wait())
        await asyncio.wait({self.task, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self.task.done() and (error := self.task.exception()):
            raise StartupError(f"cannot listen: {error}") from error

    async def finish(self, seconds: float) -> None:
        """Accept nothing more; wait so long, at most, for the requests that run."""
        assert self.task is not None
        self.should_exit = True
        await asyncio.wait({self.task}, timeout=seconds)

    async def close(self, seconds: float) -> None:
        """End, whatever still runs; the boundary answers a cancelled request with 503."""
        assert self.task is not None
        await self.finish(seconds / 2)
        for request in self.server_state.tasks:
            request.cancel()
        self.force_exit = True
        await asyncio.wait({self.task}, timeout=seconds / 2)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address; raises StartupError that says what to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off, but only for sockets that name their protocol. With
    # it, the body of a response waits until the caller's kernel has confirmed the head: 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, UnicodeError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or "no such address"
        raise StartupError(
            f"cannot listen at {host} port {port}: {reason}; choose another with --host and --port "
            "(admin listener: SOFTALIGN_ADMIN_HOST and SOFTALIGN_ADMIN_PORT)"
        ) from None
    return bound


class Process:
    """One run of the service: its listeners, its signals, its end."""

    def __init__(
        self,
        settings: Settings,
        models: LoadedModels,
        public: socket.socket,
        admin: socket.socket | None,
        *,
        log_descriptor: int = 2,
        make_network: MakeNetwork = lean_network,
    ) -> None:
        self._settings = settings
        self._models = models
        self._public = public
        self._admin = admin
        self._make_network = make_network
        self._metrics = Metrics()
        self._lifecycle = Lifecycle()
        self._sink = LogSink(log_descriptor, self._metrics)
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, when_ready: Callable[[], None] = lambda: None) -> int:
        """Serve until a signal or a failure; gives the exit code.

        Raises:
            StartupError, SettingsError, StorageStartupError: the service cannot start.
        """
        send_all_logging_to(self._sink)
        try:
            code = asyncio.run(self._serve(when_ready))
        finally:
            self._sink.drain(CLOSING_SECONDS)
        if any(thread.name == "decoding" for thread in threading.enumerate()):
            # A thread that is stuck inside PyTorch does not survive the interpreter's end.
            os._exit(code)
        return code

    async def _serve(self, when_ready: Callable[[], None]) -> int:
        app = create_app(
            self._settings,
            self._models,
            metrics=self._metrics,
            lifecycle=self._lifecycle,
            make_network=self._make_network,
        )
        async with app.router.lifespan_context(app):
            service: Service = app.state.service
            reloader = Reloader(
                service.catalog, self._settings.checkpoints, self._metrics, self._make_network
            )
            self._handle_signals(reloader)
            public = self._listener(app, self._public, app.state.turnstile)
            listeners = [public]
            if self._admin is not None:
                admin = create_admin_app(app, reloader)
                listeners.append(self._listener(admin, self._admin))
            for listener in listeners:
                await listener.listen()
            when_ready()
            log.info("serving %s", ", ".join(model.identity for model in service.models))
            code = await self._until_the_end(public, service)
            for listener in listeners:
                await listener.close(CLOSING_SECONDS)
            return code

    def _listener(
        self, app: FastAPI, bound: socket.socket, turnstile: Turnstile | None = None
    ) -> Listener:
        return Listener(app, bound, self._settings, self._metrics, turnstile)

    async def _until_the_end(self, public: Listener, service: Service) -> int:
        """Wait for what ends the service, and let it end as that demands; gives the exit code."""
        told = self._spawn(self._signals.get())
        failed = self._spawn(self._lifecycle.failed())
        await asyncio.wait({told, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            log.error("the service cannot recover: %s", failed.result())
            _exit_at_the_latest(self._settings.shutdown_seconds, BROKEN)
            return BROKEN
        log.info("stopping after %s", told.result().name)
        await self._drain(told.result(), public, service)
        return STOPPED

    async def _drain(self, number: signal.Signals, public: Listener, service: Service) -> None:
        """Finish what runs, and refuse what is left when the time is up."""
        ends = time.monotonic() + self._settings.shutdown_seconds
        _exit_at_the_latest(self._settings.shutdown_seconds + 2 * CLOSING_SECONDS, OVERDUE)
        if number == signal.SIGTERM:
            # Balancers need a while to see that `/readyz` says no. A person with Ctrl-C has none.
            await asyncio.sleep(min(self._settings.drain_seconds, self._settings.shutdown_seconds))
        await public.finish(ends - time.monotonic())
        await service.stop()

    # Signals.

    def _handle_signals(self, reloader: Reloader) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(reloader.reload()))
        release_hangups()

    def _told_to_stop(self, number: signal.Signals) -> None:
        if self._lifecycle.draining:
            self._sink.drain(CLOSING_SECONDS / 2)
            os._exit(128 + number)
        self._lifecycle.drain()
        self._signals.put_nowait(number)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _exit_at_the_latest(seconds: float, code: int) -> None:
    """End the process with `code` after so many seconds, whatever hinders it."""
    last_resort = threading.Timer(seconds, os._exit, [code])
    last_resort.daemon = True
    last_resort.start()
