"""The addresses of the service; they speak HTTP and leave everything else to `app/service.py`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from app.answer_headers import answer_headers
from app.archive import Archive, ArchivedAnswer
from app.description_schemas import (
    AlignmentKindReply,
    HealthReply,
    LanguageReply,
    LanguagesReply,
    LimitsReply,
    ModelReply,
    ModelsReply,
)
from app.detection import can_detect
from app.event_stream import wants_events
from app.gate import CallerDep, GuardedRoute
from app.limits import describe_limits
from app.live import LiveTranslation
from app.models import LoadedModel
from app.problem_responses import PROBLEM
from app.reply_schemas import TranslateReply
from app.schemas import TranslateRequest
from app.service import Service
from app.translation_stream import stream_response


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _archive(request: Request) -> Archive:
    archive: Archive = request.app.state.archive
    return archive


ServiceDep = Annotated[Service, Depends(_service)]
ArchiveDep = Annotated[Archive, Depends(_archive)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="The same key with the same body gives the same stored answer for 24 hours.",
    ),
]
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "description": "Server-sent events, each with JSON as its data: `segment` and "
                    "`token` while a sentence is translated, `segment_end` behind it, and at the "
                    "end either `done` or `error`.",
                    "x-events": {
                        "segment": {"$ref": "#/components/schemas/SegmentEvent"},
                        "token": {"$ref": "#/components/schemas/TokenEvent"},
                        "segment_end": {"$ref": "#/components/schemas/SegmentEndEvent"},
                        "done": {"$ref": "#/components/schemas/TranslateReply"},
                        "error": {"$ref": "#/components/schemas/ProblemReply"},
                    },
                }
            }
        },
        "links": {
            name: {
                "operationRef": f"#/paths/~1v1~1translations~1{{id}}{path}",
                "parameters": {"id": "$response.body#/id"},
            }
            for name, path in (
                ("get", "/get"),
                ("alignment", "~1alignment/get"),
                ("delete", "/delete"),
            )
        },
    }
}
"""What an answer may be besides JSON, and where a stored one is found."""

api = APIRouter(prefix="/v1", route_class=GuardedRoute, responses=PROBLEM)
health = APIRouter(tags=["health"], responses=PROBLEM)


@api.post("/translate", response_model=TranslateReply, responses=EVENTS, tags=["translation"])
async def translate(
    request: Request,
    body: TranslateRequest,
    caller: CallerDep,
    archive: ArchiveDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Translate texts, with the alignment of every word of the translation to the text.

    With `Accept: text/event-stream` every step of the translation is an event.
    """
    if wants_events(request.headers.get("accept")):
        live: LiveTranslation[ArchivedAnswer] = LiveTranslation(body)
        work = archive.translate(caller, body, idempotency_key, live)
        return await stream_response(request, live, work)
    answer = await archive.translate(caller, body, idempotency_key)
    request.state.facts.update(answer.facts)
    return Response(
        answer.content, media_type="application/json", headers=answer_headers(request, answer)
    )


@api.get("/models", tags=["models"])
async def list_models(service: ServiceDep) -> ModelsReply:
    """The models that are loaded: their shapes, where they come from, how good they are."""
    return ModelsReply(models=[_model_reply(model) for model in service.models])


@api.get("/languages", tags=["models"])
async def list_languages(service: ServiceDep) -> LanguagesReply:
    """The languages that texts can be translated from, each with those it goes to."""
    return LanguagesReply(
        languages=[
            LanguageReply(code=code, targets=targets)
            for code, targets in service.models.languages().items()
        ],
        detection=can_detect(),
    )


@api.get("/limits", tags=["service"])
async def list_limits(service: ServiceDep) -> LimitsReply:
    """The limits of this service."""
    return describe_limits(service.settings)


@health.get("/livez")
async def is_alive() -> HealthReply:
    """The process answers. Touches nothing else."""
    return HealthReply()


@health.get("/readyz")
async def is_ready(request: Request, service: ServiceDep) -> HealthReply:
    """The models are loaded, requests are translated and the database answers; else 503."""
    service.check_ready()
    await request.app.state.storage.database.ping()
    return HealthReply()


def _model_reply(model: LoadedModel) -> ModelReply:
    manifest = model.checkpoint.manifest
    return ModelReply(
        name=model.name,
        digest=model.checkpoint.digest,
        source_lang=model.source_language,
        target_lang=model.target_language,
        alignment_kinds=model.alignment_kinds,
        alignments=[
            AlignmentKindReply(
                kind=kind, aer=model.alignment_error(kind), threshold=model.threshold(kind)
            )
            for kind in model.alignment_kinds
        ],
        config=asdict(manifest.config),
        training=manifest.training,
        metrics=manifest.metrics,
    )
