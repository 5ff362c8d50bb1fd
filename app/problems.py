"""Handlers that tell every error of the application in the shape of `app/errors.py`."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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
    "too_short": "At least {min_length} items are needed.",
    "too_long": "At most {max_length} items are allowed.",
    "string_too_short": "At least {min_length} characters are needed.",
    "string_too_long": "At most {max_length} characters are allowed.",
    "string_type": "A string is needed.",
    "int_type": "An integer is needed.",
    "float_type": "A number is needed.",
    "bool_type": "true or false is needed.",
    "list_type": "A list is needed.",
    "model_type": "An object is needed.",
    "model_attributes_type": "An object is needed.",
    "dict_type": "An object is needed.",
}
"""Messages by pydantic's type of error; its own can quote the input, so they are never used."""

_OUR_TYPES = frozenset(
    {
        "n_best_above_beam",
        "text_type",
        "level_type",
        "store_type",
        "pairs_differ",
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
    if error.status_code == 405 and error.headers:
        problem.headers["Allow"] = dict(error.headers).get("Allow", "")
    return problem_response(request, problem)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [field_error(found, error.body) for found in error.errors()]
    return problem_response(request, InvalidInputError.of(fields[:MAX_FIELD_ERRORS]))


def field_error(found: Mapping[str, Any], body: object) -> FieldError:
    """Tell one of pydantic's errors in our words, without anything of the input but its place."""
    kind = str(found["type"])
    if kind in _OUR_TYPES:
        message = str(found["msg"])
    elif kind in _OWN_WORDS:
        message = _OWN_WORDS[kind].format_map(found.get("ctx", {}))
    else:
        message = "This value cannot be used here."
    return FieldError(_pointer(found["loc"], body), kind, message)


def _pointer(location: Sequence[str | int], body: object) -> str:
    """JSON pointer of pydantic's location, without the names of union members that stand in it."""
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
