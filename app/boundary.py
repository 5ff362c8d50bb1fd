"""The outermost layer: what every request passes before anything of it is looked at.

It receives the request within limits (`app/receipt.py`), refuses it at once where there is
certainly no room (`app/doorkeeper.py`), notices a caller who leaves (and cancels the work for
them), turns an unexpected exception into a problem response, and counts and logs how it went. All
of it in plain ASGI: the framework lets a handler run on when its caller has left.
"""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import NotReadyError, ServiceError
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.receipt import CallerLeftError, check_head, read_body, replay, wait_for_disconnect
from app.reply import Reply, request_id
from app.request_log import QUIET_ROUTES, describe_span, log_failure, record_request
from app.settings import Settings
from app.tracing import Tracing

UNTRACED = Tracing()
"""For what machines ask every few seconds."""

Refuse = Callable[[Scope, bytes], ServiceError | None]
"""Tells why a request need not be looked at, from its head and its body as bytes."""


class Boundary:
    """ASGI middleware around the whole application; see the module's text."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        lifecycle: Lifecycle,
        refuse: Refuse = lambda _scope, _body: None,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._refuse = refuse
        self._tracing = tracing or Tracing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            # Whatever can be got can be asked for its head (RFC 9110, 9.3.2). The server, which
            # keeps its own scope, leaves the body of the answer out.
            scope = {**scope, "method": "GET"}
        reply = Reply(send, request_id(scope))
        # A connection that is kept would bring its next request to a service that is gone.
        reply.last_on_connection = self._lifecycle.draining
        scope.setdefault("state", {}).update(request_id=reply.request_id, facts={})
        tracing = UNTRACED if scope.get("path") in QUIET_ROUTES else self._tracing
        with (
            self._metrics.requests_in_progress.track_inprogress(),
            tracing.request(scope["headers"]) as span,
        ):
            reply.traceresponse = span.traceresponse
            await self._answer(scope, receive, reply)
            describe_span(span, {**scope, "method": method}, reply)
        record_request({**scope, "method": method}, reply, self._metrics)

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        try:
            check_head(scope, self._settings)
            body = await read_body(scope, receive, self._settings)
        except ServiceError as error:
            # The rest of the body was not read, so the connection cannot carry another request.
            reply.last_on_connection = True
            await reply.send_problem(error)
        except CallerLeftError:
            pass
        except asyncio.CancelledError:
            await self._refuse_late(reply)
        else:
            refusal = self._refuse(scope, body)
            if refusal is None:
                await self._run(scope, body, receive, reply)
            else:
                scope["state"].update(path=scope["path"], turned_away=True)
                await reply.send_problem(refusal)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, reply: Reply) -> None:
        """Run the application until it has answered or its caller has left."""
        caller_left = asyncio.Event()
        work = asyncio.ensure_future(self._app(scope, replay(body, caller_left), reply.send))
        watch = asyncio.ensure_future(wait_for_disconnect(receive, caller_left))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if caller_left.is_set() and not reply.complete:
                work.cancel()
            await work
        except asyncio.CancelledError:
            if not caller_left.is_set():
                await self._refuse_late(reply)
        except Exception as error:  # noqa: BLE001 - the last line of defence
            log_failure(error, reply.request_id)
            if reply.status is None:
                await reply.send_problem(
                    ServiceError("internal_error", "The log has the cause under this request's id.")
                )
        finally:
            for task in (work, watch):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _refuse_late(self, reply: Reply) -> None:
        """The server cancels what still runs when its time to stop is up."""
        if reply.status is None:
            seconds = self._settings.retry_after_seconds
            await reply.send_problem(NotReadyError("The service is stopping.", seconds))
