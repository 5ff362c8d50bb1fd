"""The admin listener: metrics, and which models serve. For operators, on a port of its own.

Metrics are open to whoever reaches the listener, as Prometheus expects; the models need a key with
the scope `admin`, or a request from this machine while there are no keys.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response

from app.boundary import Boundary
from app.errors import AccessError
from app.gate import GuardedRoute
from app.metrics import EXPOSITION_MEDIA_TYPE
from app.problems import install_problem_handlers
from app.reload import Change, Reloader
from app.routes import ServiceDep, health
from app.schemas import ReplyModel
from app.service import Service
from app.tracing import FRAMEWORK_TELEMETRY


class ServingModel(ReplyModel):
    """What answers to a name, and what a rollback would bring back."""

    name: str
    digest: str
    previous_digest: str | None


class ServingModels(ReplyModel):
    """All models that serve."""

    models: list[ServingModel]


class ChangeReply(ReplyModel):
    """What became of a change."""

    name: str
    digest: str
    """Of the model that answers now."""
    result: str


watching = APIRouter()
changing = APIRouter(prefix="/v1/admin", route_class=GuardedRoute)


async def _reloader(request: Request) -> Reloader:
    reloader: Reloader = request.app.state.reloader
    return reloader


ReloaderDep = Annotated[Reloader, Depends(_reloader)]


def refuse_browsers(request: Request) -> None:
    """Refuse what a page in an operator's browser sends; no tool of an operator sends `Origin`."""
    if "origin" in request.headers:
        raise AccessError("forbidden", "The admin listener answers no requests of web pages.")


@watching.get("/metrics")
async def metrics(service: ServiceDep) -> Response:
    """All metrics, in the text format of Prometheus."""
    return Response(service.metrics.exposition(), media_type=EXPOSITION_MEDIA_TYPE)


@changing.get("/models")
async def list_models(service: ServiceDep) -> ServingModels:
    """The models that serve."""
    catalog = service.catalog
    return ServingModels(
        models=[
            ServingModel(
                name=model.name,
                digest=model.digest,
                previous_digest=previous.digest
                if (previous := catalog.previous(model.name))
                else None,
            )
            for model in catalog.models
        ]
    )


@changing.post("/models/{name}:activate")
async def activate(name: str, reloader: ReloaderDep) -> ChangeReply:
    """Load the model of this name from the checkpoint folder again and switch to it."""
    return _reply(await reloader.activate(name))


@changing.post("/models/{name}:rollback")
async def roll_back(name: str, reloader: ReloaderDep) -> ChangeReply:
    """Switch back to the model that answered to this name before."""
    return _reply(await reloader.roll_back(name))


def _reply(change: Change) -> ChangeReply:
    return ChangeReply(name=change.name, digest=change.digest, result=change.result)


def create_admin_app(public: FastAPI, reloader: Reloader) -> FastAPI:
    """The application of the admin listener, beside the running public one."""
    app = FastAPI(
        title="Softalign admin",
        openapi_url=None,
        telemetry=FRAMEWORK_TELEMETRY,
        dependencies=[Depends(refuse_browsers)],
    )
    for shared in ("settings", "service", "storage", "gate", "doorkeeper"):
        setattr(app.state, shared, getattr(public.state, shared))
    app.state.reloader = reloader
    service: Service = public.state.service
    app.add_middleware(
        Boundary, settings=service.settings, metrics=service.metrics, lifecycle=service.lifecycle
    )
    app.include_router(watching)
    app.include_router(changing)
    app.include_router(health)
    install_problem_handlers(app)
    return app
