"""Handlers that tell every error of the application in the shape of `app/errors.py`."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.errors import (
    PROBLEMS,
    STATUS_CODES,
    FieldError,
    InvalidInputError,
    ServiceError,
    problem_document,
)
from app.reply import PROBLEM_MEDIA_TYPE
from app.strict_json import pointer_part

MAX_FIELD_ERRORS = 20
"""Most entries of `errors` in one response, so that no request makes a large one."""

_OWN_WORDS = {
    "extra_forbidden": "There is no field of this name here.",
    "missing": "This field is needed.",
    "literal_error": "This is not one of the allowed values: {expected}.",
    "greater_than_equal": "The value must be at least {ge}.",
    "greater_than": "The value must be greater than {gt}.",
    "less_than_equal": "The value must be at most {le}.",
    "less_than": "The value must be less than {lt}.",
    "too_short": "A list of at least {min_length} is needed.",
    "too_long": "A list of at most {max_length} is allowed.",
    "string_too_short": "A length of at least {min_length} is needed.",
    "string_too_long": "A length of at most {max_length} is allowed.",
    "string_pattern_mismatch": "The value must match the pattern {pattern}",
    "string_type": "A string is needed.",
    "int_type": "An integer is needed.",
    "int_parsing": "An integer is needed.",
    "float_type": "A number is needed.",
    "float_parsing": "A number is needed.",
    "finite_number": "A finite number is needed.",
    "bool_type": "true or false is needed.",
    "list_type": "A list is needed.",
    "model_type": "An object is needed.",
    "model_attributes_type": "An object is needed.",
    "dict_type": "An object is needed.",
}
"""Messages by pydantic's type of error; its own can quote the input, so they are never used."""

LONGEST_NAME = 64
"""Characters of an unknown name for which a near one is looked for; ours are far shorter."""

_OUR_TYPES = frozenset(
    {
        "n_best_above_beam",
        "text_type",
        "level_type",
        "store_type",
        "pairs_differ",
        "both_directions_links_words",
    }
)
"""Types of `app/schemas.py`, whose messages are ours and quote nothing."""


def install_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every exception with problem+json."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


def problem_response(request: Request, error: ServiceError) -> JSONResponse:
    """The response for `error`, with the id that the boundary gave the request."""
    request.state.problem = error.code  # for the log and the metrics
    document = problem_document(error.code, error.detail, error.errors, request.state.request_id)
    return JSONResponse(
        document,
        status_code=PROBLEMS[error.code].status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={**getattr(request.state, "quota_headers", {}), **error.headers},
    )


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return problem_response(request, error)


async def _framework_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = STATUS_CODES.get(error.status_code, "internal_error")
    detail = "See docs/api.md, or /openapi.json, for the addresses and their methods."
    problem = ServiceError(code, detail)
    if error.status_code == 405:
        problem.headers["Allow"] = ", ".join(allowed_methods(request))
    return problem_response(request, problem)


def allowed_methods(request: Request) -> list[str]:
    """Methods of all routes at the address of `request`; the framework knows only the first's."""
    scope = request.scope
    # A mounted application counts its own address to the root.
    root = scope.get("app_root_path", scope.get("root_path", ""))
    path = scope["path"].removeprefix(root)
    allowed = {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.path_regex.match(path)
        for method in route.methods or ("GET",)  # a folder of files names none
    }
    return sorted(allowed | {"HEAD"} if "GET" in allowed else allowed)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()[:MAX_FIELD_ERRORS]
    fields = [field_error(found, error.body, nearest_name(request, found)) for found in errors]
    return problem_response(request, InvalidInputError.of(fields))


def field_error(found: Mapping[str, Any], body: object, nearest: str | None = None) -> FieldError:
    """Tell one of pydantic's errors in our words, without anything of the input but its place."""
    kind = str(found["type"])
    if kind in _OUR_TYPES:
        message = str(found["msg"])
    elif kind in _OWN_WORDS:
        message = _OWN_WORDS[kind].format_map(found.get("ctx", {}))
    else:
        message = "This value cannot be used here."
    if nearest is not None:
        message += f" Did you mean `{nearest}`?"
    return FieldError(_pointer(found["loc"], body), kind, message)


def nearest_name(request: Request, found: Mapping[str, Any]) -> str | None:
    """What the caller may have meant by a name that does not exist."""
    route = request.scope.get("route")
    if found["type"] != "extra_forbidden" or not isinstance(route, APIRoute):
        return None
    place, *path = found["loc"]
    parameters = route.dependant.body_params if place == "body" else route.dependant.query_params
    unknown = str(path.pop())
    known = [name for one in parameters for name in _names(one.field_info.annotation, path)]
    near = (
        get_close_matches(unknown, known, n=1, cutoff=0.5) if len(unknown) <= LONGEST_NAME else []
    )
    return near[0] if near else None


def _names(annotation: object, path: Sequence[str | int]) -> list[str]:
    """Names of the fields of the model that stands at `path` inside a value of this type."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            if not path:
                return list(one.model_fields)
            inner = one.model_fields.get(str(path[0]))
            return [] if inner is None else _names(inner.annotation, path[1:])
    return []


def _pointer(location: Sequence[str | int], body: object) -> str:
    """JSON pointer of pydantic's location; into the body without the names of union members.

    A parameter of the address, or a header field, is `/` and its name.
    """
    if location and location[0] in ("query", "path", "header"):
        return "".join(pointer_part(part) for part in location[1:])
    pointer = ""
    value = body
    for part in location[1:] if location and location[0] == "body" else location:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part] if part < len(value) else None
        else:
            continue
        pointer += pointer_part(part)
    return pointer
