"""Builds the application; `python -m app serve` runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from app import __version__
from app.alignment_routes import alignments
from app.archive import Archive
from app.authorisation import PUBLIC_PATHS
from app.boundary import Boundary
from app.catalog import MakeNetwork, fast_network
from app.doorkeeper import Doorkeeper
from app.example_answers import add_examples
from app.gate import check_routes, open_gate
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.models import LoadedModels, load_models
from app.page.delivery import serve_page
from app.problems import install_problem_handlers
from app.record_routes import translations
from app.reply_schemas import ProblemReply
from app.routes import api, health
from app.service import Service
from app.settings import Settings, load_settings
from app.storage.storage import open_storage
from app.stream_schemas import SegmentEndEvent, SegmentEvent, TokenEvent
from app.tracing import FRAMEWORK_TELEMETRY, Tracing, open_tracing
from app.turnstile import Turnstile

DESCRIPTION = """
Translates, and tells for every word of the translation which words of the text it was made from.

Errors are `application/problem+json` (RFC 9457); their `code` is stable, their `detail` one string.
Spans are half-open and index your own text and the returned translation.
"""

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this service."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {}]
"""Either header; neither where the service has no keys."""

UNROUTED_REPLIES = (ProblemReply, SegmentEvent, TokenEvent, SegmentEndEvent)
"""Bodies that no route returns by itself, and that the document tells of all the same."""


def create_app(
    settings: Settings | None = None,
    models: LoadedModels | None = None,
    *,
    metrics: Metrics | None = None,
    lifecycle: Lifecycle | None = None,
    tracing: Tracing | None = None,
    make_network: MakeNetwork = fast_network,
) -> FastAPI:
    """The application, with what it needs to run in `app.state`.

    Without `settings` they are read from the environment, without `models` the checkpoints are
    loaded when the application starts. `metrics` and `lifecycle` are given by whoever shares them.
    Raises SettingsError, and StartupError and StorageStartupError at the start.
    """
    settings = settings or load_settings()
    metrics, lifecycle = metrics or Metrics(), lifecycle or Lifecycle()
    tracing = tracing or open_tracing(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loaded = load_models(settings.checkpoints) if models is None else models
        service = Service(
            settings, loaded, metrics=metrics, lifecycle=lifecycle, make_network=make_network
        )
        async with open_storage(settings) as storage, open_gate(settings, storage.keys) as gate:
            app.state.storage = storage
            app.state.gate = gate
            app.state.archive = Archive(service, storage, gate)
            service.start()
            app.state.service = service
            doorkeeper.serve(service.admission)
            try:
                yield
            finally:
                await service.stop()
                await asyncio.to_thread(tracing.close)

    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        title="Softalign",
        summary="A translation service that shows its work.",
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        # An address has one form; a redirect could turn the deletion of nothing into one of all.
        redirect_slashes=False,
        telemetry=FRAMEWORK_TELEMETRY,
    )
    app.state.settings = settings
    app.state.doorkeeper = doorkeeper = Doorkeeper()
    app.state.turnstile = Turnstile(doorkeeper, metrics, lifecycle)
    app.add_middleware(
        Boundary,
        settings=settings,
        metrics=metrics,
        lifecycle=lifecycle,
        refuse=doorkeeper.refusal,
        tracing=tracing,
    )
    app.include_router(api)
    app.include_router(translations)
    app.include_router(alignments)
    app.include_router(health)
    serve_page(app)
    install_problem_handlers(app)
    check_routes(app)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    return app


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schemas of errors and events; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        schemas = document["components"]["schemas"]
        for reply in UNROUTED_REPLIES:
            schema = reply.model_json_schema(
                mode="serialization", ref_template="#/components/schemas/{model}"
            )
            schemas.update(schema.pop("$defs", {}))
            schemas[reply.__name__] = schema
        document["components"]["securitySchemes"] = SECURITY_SCHEMES
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in PUBLIC_PATHS else SECURITY
        add_examples(document)
        app.openapi_schema = document
    return app.openapi_schema
