"""The addresses of stored translations; each reaches only those of its caller."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.archive import not_found
from app.errors import FieldError, InvalidInputError
from app.gate import CallerDep, GuardedRoute
from app.problem_responses import PROBLEM
from app.record_schemas import (
    ErasedReply,
    EraseQuery,
    ListQuery,
    RecordsReply,
    RecordSummaryReply,
)
from app.reply_schemas import TranslateReply
from app.storage.clock import rfc3339
from app.storage.record import RecordSummary
from app.storage.records import Records


async def _records(request: Request) -> Records:
    records: Records = request.app.state.storage.records
    return records


RecordsDep = Annotated[Records, Depends(_records)]
RecordId = Annotated[str, Path(description="The `id` of the answer to `POST /v1/translate`.")]

translations = APIRouter(
    prefix="/v1/translations", route_class=GuardedRoute, responses=PROBLEM, tags=["translations"]
)


@translations.get("")
async def list_translations(
    request: Request, caller: CallerDep, records: RecordsDep, query: Annotated[ListQuery, Query()]
) -> RecordsReply:
    """Your stored translations, newest first."""
    most = request.app.state.settings.max_page_size
    if query.limit > most:
        message = f"The value must be at most {most}."
        raise InvalidInputError.of([FieldError("/limit", "limit_exceeded", message)])
    page = await records.page(caller.owner, query.limit, query.cursor, query.filters)
    return RecordsReply(
        translations=[_summary_reply(summary) for summary in page.records],
        next_cursor=page.next_cursor,
    )


@translations.get("/{id}", response_model=TranslateReply)
async def get_translation(id: RecordId, caller: CallerDep, records: RecordsDep) -> Response:
    """A stored translation, byte for byte as it was answered."""
    record = await records.get(caller.owner, id)
    if record is None:
        raise not_found()
    return Response(
        record.result,
        media_type="application/json",
        headers={"X-Model": record.model, "Cache-Control": "no-store"},
    )


@translations.delete("/{id}", status_code=204)
async def delete_translation(id: RecordId, caller: CallerDep, records: RecordsDep) -> Response:
    """Delete a stored translation."""
    if not await records.delete(caller.owner, id):
        raise not_found()
    return Response(status_code=204)


@translations.delete("")
async def erase_translations(
    caller: CallerDep, records: RecordsDep, query: Annotated[EraseQuery, Query()]
) -> ErasedReply:
    """Delete all your stored translations."""
    del query  # that it could be read is all there is to it
    return ErasedReply(erased=await records.erase(caller.owner))


def _summary_reply(summary: RecordSummary) -> RecordSummaryReply:
    return RecordSummaryReply(
        id=summary.id,
        created_at=rfc3339(summary.created_at),
        expires_at=rfc3339(summary.expires_at),
        model=summary.model,
        source_lang=summary.source_lang,
        target_lang=summary.target_lang,
        texts=summary.texts,
        preview=summary.preview,
    )
