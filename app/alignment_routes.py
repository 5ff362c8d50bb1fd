"""The addresses that give an alignment in any form: of a stored translation, of any pair."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.align_schemas import AlignReply, AlignRequest
from app.answer_headers import server_timing
from app.archive import not_found
from app.errors import FieldError, InvalidInputError
from app.form_query import AlignmentQuery, FormQuery, forms_content
from app.formats.aligned import AlignedText
from app.formats.interactive import content_security_policy
from app.formats.table import Format, choose_format
from app.gate import CallerDep, Gate, GuardedRoute
from app.problem_responses import PROBLEM
from app.record_routes import RecordId, RecordsDep
from app.reply_schemas import AlignmentReply
from app.routes import ServiceDep
from app.schemas import AlignmentRequest
from app.stored_alignment import stored_alignment

alignments = APIRouter(
    prefix="/v1", route_class=GuardedRoute, responses=PROBLEM, tags=["alignment"]
)


@alignments.get(
    "/translations/{id}/alignment", response_model=AlignmentReply, responses=forms_content()
)
async def get_alignment(
    request: Request,
    id: RecordId,
    query: Annotated[AlignmentQuery, Query()],
    caller: CallerDep,
    records: RecordsDep,
    service: ServiceDep,
) -> Response:
    """The alignment of a stored translation; needs no model, only what was stored."""
    deadline = time.monotonic() + service.settings.deadline_seconds
    form = choose_format(query.format, request.headers.get("accept"))
    record = await records.get(caller.owner, id)
    if record is None:
        raise not_found()
    aligned: AlignedText = await asyncio.to_thread(stored_alignment, record, query)
    content = await service.forms.write(aligned, form, query.options(query.alignment), deadline)
    return form_response(content, form, record.model)


@alignments.post("/align", response_model=AlignReply, responses=forms_content())
async def align(
    request: Request,
    body: AlignRequest,
    query: Annotated[FormQuery, Query()],
    caller: CallerDep,
    service: ServiceDep,
) -> Response:
    """Align texts with translations that are given, and tell how probable each word of these is."""
    form = choose_format(query.format, request.headers.get("accept"))
    if form.name != "json" and len(body.sources) > 1:
        message = (
            f"{form.name} holds one pair and this request has {len(body.sources)}; "
            "send them one by one, or take JSON."
        )
        raise InvalidInputError.of([FieldError("/source", "one_text_needed", message)])
    options = query.options(body.alignment or AlignmentRequest())
    answer = await service.align_pairs(body, form, options, caller.identity)
    request.state.facts.update(answer.facts)
    gate: Gate = request.app.state.gate
    await gate.charge(caller, answer.tokens)
    response = form_response(answer.content, form, answer.model)
    response.headers["Server-Timing"] = server_timing(answer.timings)
    return response


def form_response(content: bytes, form: Format, model: str) -> Response:
    """`content`, with the headers of its form; a browser that saves it names the file by it."""
    headers = {
        "Content-Type": form.content_type,
        "Content-Disposition": f'inline; filename="alignment.{form.ending}"',
        "Vary": "Accept",
        "X-Model": model,
    }
    if form.name == "html":
        # Every other form keeps the policy of all answers, which lets nothing run.
        headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-ancestors 'none'"
    return Response(content, headers=headers)
