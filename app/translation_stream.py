"""A request to translate, answered by events as they happen."""

import json
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing

from fastapi import Request

from app.answer_headers import answer_headers
from app.archive import ArchivedAnswer
from app.errors import ServiceError, problem_document
from app.event_stream import EventStream, frame
from app.live import Event, LiveTranslation
from app.request_log import log_failure

Items = AsyncGenerator[Event | ArchivedAnswer, None]


async def stream_response(
    request: Request,
    live: LiveTranslation[ArchivedAnswer],
    work: Coroutine[None, None, ArchivedAnswer],
) -> EventStream:
    """The response that tells of `work`; raises what stands against the request from the beginning.

    Whatever comes up later is told by an `error` event, the last one: a stream that ends with
    neither `done` nor `error` was cut off.
    """
    began = time.monotonic()
    items = live.follow(work)
    first = await anext(items)
    response = EventStream(_frames(request, first, items, began))
    if isinstance(first, ArchivedAnswer):  # stored before, or nothing in it to translate
        response.headers.update(answer_headers(request, first))
    elif live.model is not None:
        response.headers["X-Model"] = live.model.identity
    return response


async def _frames(
    request: Request, first: Event | ArchivedAnswer, items: Items, began: float
) -> AsyncGenerator[bytes, None]:
    async with aclosing(items):
        try:
            yield _frame(request, first, began)
            async for item in items:
                yield _frame(request, item, began)
        except ServiceError as error:
            yield _error_frame(request, error)
        except Exception as failure:  # noqa: BLE001 - the status is sent, so nobody else can tell
            log_failure(failure, request.state.request_id)
            detail = "The log has the cause under this request's id."
            yield _error_frame(request, ServiceError("internal_error", detail))


def _frame(request: Request, item: Event | ArchivedAnswer, began: float) -> bytes:
    if isinstance(item, Event):
        if item.name == "token":
            first = 1000 * (time.monotonic() - began)
            request.state.facts.setdefault("first_token_ms", round(first, 1))
        return frame(item.name, item.data.model_dump_json())
    request.state.facts.update(item.facts)
    return frame("done", item.content)


def _error_frame(request: Request, error: ServiceError) -> bytes:
    request.state.problem = error.code
    document = problem_document(error.code, error.detail, error.errors, request.state.request_id)
    return frame("error", json.dumps(document))
