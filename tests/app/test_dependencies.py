"""What the framework calls for each request runs on the event loop."""

import inspect

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from app.main import create_app


def calls_of(dependant: Dependant):
    for inner in dependant.dependencies:
        yield inner.call
        yield from calls_of(inner)


def test_no_dependency_takes_a_thread_for_each_request(settings, tiny_models):
    """A plain function would be run in a thread pool, and wait there behind the decoding thread."""
    app = create_app(settings, tiny_models)
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    calls = [call for route in routes if hasattr(route, "dependant")
             for call in (route.endpoint, *calls_of(route.dependant))]  # fmt: skip
    ours = [call for call in calls if call.__module__.startswith("app.")]
    assert len(ours) > 5
    assert [call for call in ours if not inspect.iscoroutinefunction(call)] == []
