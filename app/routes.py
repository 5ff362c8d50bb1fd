"""The addresses of the service; they speak HTTP and leave everything else to `app/service.py`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.gate import GuardedRoute
from app.limits import describe_limits
from app.models import LoadedModel
from app.schemas import (
    HealthReply,
    LanguageReply,
    LanguagesReply,
    LimitsReply,
    ModelReply,
    ModelsReply,
    TranslateReply,
    TranslateRequest,
)
from app.service import Service

PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Any error, as RFC 9457 tells it. `code` is stable.",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemReply"}}
        },
    }
}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
api = APIRouter(prefix="/v1", route_class=GuardedRoute, responses=PROBLEM)
health = APIRouter(tags=["health"], responses=PROBLEM)


@api.post("/translate", response_model=TranslateReply, tags=["translation"])
async def translate(body: TranslateRequest, service: ServiceDep) -> Response:
    """Translate texts, with the alignment of every word of the translation to the text."""
    answer = await service.translate(body)
    timings = ", ".join(f"{name};dur={value:.1f}" for name, value in answer.timings.items())
    return Response(
        answer.content,
        media_type="application/json",
        headers={"Server-Timing": timings, "X-Model": answer.model},
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
        ]
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
async def is_ready(service: ServiceDep) -> HealthReply:
    """The models are loaded and requests are translated; else 503."""
    service.check_ready()
    return HealthReply()


def _model_reply(model: LoadedModel) -> ModelReply:
    manifest = model.checkpoint.manifest
    return ModelReply(
        name=model.name,
        digest=model.checkpoint.digest,
        source_lang=model.source_language,
        target_lang=model.target_language,
        alignment_kinds=["attention"] if model.has_attention else [],
        config=asdict(manifest.config),
        training=manifest.training,
        metrics=manifest.metrics,
    )
