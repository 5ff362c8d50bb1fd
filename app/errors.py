"""Every error that a caller can meet, and the one shape in which all of them are told (RFC 9457).

ServiceError
├── UnreadableRequestError   the request could not be read: 400, 408, 413, 414, 415, 431
├── InvalidInputError        something in it cannot be used: 404, 406, 413, 422
├── AccessError              who asks is not known, or may not do this: 400, 401, 403
├── ConflictError            the key of an idempotent request belongs to another one: 409
├── RateLimitedError         the caller's own quota is used up: 429 with Retry-After
├── StorageUnavailableError  the database does not answer: 503 with Retry-After
├── StorageFullError         the database has no room left: 507 with Retry-After
├── OverloadedError          the service is full: 503 with Retry-After
├── NotReadyError            the service is starting or stopping: 503 with Retry-After
├── ModelUnavailableError    the decoding worker got stuck or died: 503 with Retry-After
├── DeadlineError            the time of the request ran out: 504
└── InferenceError           the network failed on this input: 500

The table `PROBLEMS` says for each code its status and title. A `detail` is always one string,
written by us, and never holds text of the caller.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple


class Problem(NamedTuple):
    """What is fixed for all errors of one code."""

    status: int
    title: str


PROBLEMS: Mapping[str, Problem] = {
    "invalid_json": Problem(400, "The body is not JSON"),
    "json_too_deep": Problem(400, "The body is nested too deeply"),
    "json_too_wide": Problem(400, "An array or object of the body has too many members"),
    "duplicate_key": Problem(400, "An object of the body has a key twice"),
    "bad_request": Problem(400, "The request cannot be understood"),
    "invalid_host": Problem(400, "The Host of the request cannot be used"),
    "key_in_url": Problem(400, "A key must not stand in an address"),
    "unauthorized": Problem(401, "A valid key is needed"),
    "forbidden": Problem(403, "This key may not do this"),
    "not_found": Problem(404, "There is nothing at this address"),
    "method_not_allowed": Problem(405, "This address does not take this method"),
    "request_timeout": Problem(408, "The request took too long to arrive"),
    "nothing_to_roll_back": Problem(409, "This model was never replaced"),
    "idempotency_conflict": Problem(409, "This Idempotency-Key belongs to another request"),
    "not_acceptable": Problem(406, "The alignment does not come in this form"),
    "body_too_large": Problem(413, "The body is too large"),
    "matrix_too_large": Problem(413, "The alignment is too large for this form"),
    "record_too_large": Problem(413, "The result is too large to be stored"),
    "target_too_long": Problem(414, "The address is too long"),
    "unsupported_media_type": Problem(415, "The body must be JSON in UTF-8"),
    "unsupported_encoding": Problem(415, "The body must not be compressed"),
    "validation_failed": Problem(422, "The request has fields that cannot be used"),
    "invalid_unicode": Problem(422, "A string is not valid Unicode"),
    "control_character": Problem(422, "A text holds the character U+0000"),
    "empty_text": Problem(422, "A text has nothing to translate"),
    "text_too_long": Problem(422, "A text is too long"),
    "too_many_texts": Problem(422, "The request has too many texts"),
    "limit_exceeded": Problem(422, "An option is above its limit"),
    "unknown_model": Problem(422, "There is no such model"),
    "unknown_language_pair": Problem(422, "No model translates this pair of languages"),
    "one_text_needed": Problem(422, "This form holds one text"),
    "one_segment_needed": Problem(422, "This form holds one segment at one level"),
    "model_unusable": Problem(422, "This checkpoint cannot be used"),
    "alignment_unavailable": Problem(422, "This model has no alignment of this kind"),
    "bad_cursor": Problem(422, "This cursor does not continue this list"),
    "rate_limited": Problem(429, "The quota of this caller is used up"),
    "header_too_large": Problem(431, "The request has too many or too large header fields"),
    "internal_error": Problem(500, "The service failed"),
    "inference_failed": Problem(500, "The network failed on this request"),
    "overloaded": Problem(503, "The service is full"),
    "not_ready": Problem(503, "The service is not ready"),
    "too_many_connections": Problem(503, "There are as many connections as there may be"),
    "storage_unavailable": Problem(503, "The database does not answer"),
    "model_unavailable": Problem(503, "The model does not answer"),
    "deadline_exceeded": Problem(504, "The time for this request ran out"),
    "storage_full": Problem(507, "The database has no room left"),
}

STATUS_CODES: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
"""The code for an error of the web framework itself, by its status."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong in a request."""

    pointer: str
    """Where it stands: a JSON pointer (RFC 6901) into the body; "" is the body itself."""
    code: str
    message: str


class ServiceError(Exception):
    """An error with a code of `PROBLEMS`; `app/problems.py` turns it into a response."""

    def __init__(self, code: str, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers: dict[str, str] = {}


class UnreadableRequestError(ServiceError):
    """The request could not be read as what this service takes."""


class InvalidInputError(ServiceError):
    """A readable request holds something that cannot be used."""

    @classmethod
    def of(cls, errors: Sequence[FieldError]) -> "InvalidInputError":
        """One error for a request; its code is that of the fields where they agree on one."""
        codes = {error.code for error in errors}
        code = codes.pop() if len(codes) == 1 else "validation_failed"
        if len(errors) == 1:
            where = f" (at {errors[0].pointer})" if errors[0].pointer else ""
            detail = f"{errors[0].message}{where}"
        else:
            detail = f"{len(errors)} fields cannot be used; `errors` names each of them."
        return cls(code if code in PROBLEMS else "validation_failed", detail, errors)


class MatrixTooLargeError(InvalidInputError):
    """The weights of a response in dense form are more than the limit."""

    def __init__(self, cells: int, limit: int) -> None:
        super().__init__(
            "matrix_too_large",
            f"The alignment has {cells} weights and a response may have {limit}. "
            "Ask for the form `sparse` or `links`, for one level or segment, or send less text.",
        )


class NotAcceptableError(InvalidInputError):
    """There is no form of the kind that the caller takes."""

    def __init__(self, forms: Sequence[str]) -> None:
        super().__init__("not_acceptable", f"There is no such form. There are {', '.join(forms)}.")


class RetryableError(ServiceError):
    """The same request can succeed later; the response says when to try again."""

    def __init__(self, code: str, detail: str, most_seconds: int) -> None:
        super().__init__(code, detail)
        self.headers["Retry-After"] = str(1 + secrets.randbelow(most_seconds))


class AccessError(ServiceError):
    """Who asks is not known, or may not do what was asked."""


class ConflictError(ServiceError):
    """The `Idempotency-Key` was used before, for a request with another body."""

    def __init__(self) -> None:
        super().__init__(
            "idempotency_conflict",
            "This Idempotency-Key came with another body in the last 24 hours. Use a new key.",
        )


class RateLimitedError(RetryableError):
    """The caller's own quota is used up; others are not affected."""

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__("rate_limited", detail, 1)
        self.headers["Retry-After"] = str(seconds)


class StorageUnavailableError(RetryableError):
    """The database does not answer in time, or not at all."""

    def __init__(self, most_seconds: int) -> None:
        super().__init__(
            "storage_unavailable",
            "The database does not answer. Try again later; a translation with `store: false` "
            "does not need it.",
            most_seconds,
        )


class StorageFullError(RetryableError):
    """The database has no room left; it can still be read and deleted from."""

    def __init__(self, most_seconds: int) -> None:
        super().__init__(
            "storage_full",
            "The database has no room left, so the result could not be stored. A translation with "
            "`store: false` does not need it.",
            most_seconds,
        )


class OverloadedError(RetryableError):
    """As many requests as the service takes are running or waiting.

    `wait_seconds` is how long the queue needs by now; callers are spread over what follows.
    """

    def __init__(self, most_seconds: int, wait_seconds: float = 0.0) -> None:
        super().__init__(
            "overloaded",
            "As many requests as this service takes are running or waiting. Try again later.",
            most_seconds,
        )
        spread = int(self.headers["Retry-After"])
        self.headers["Retry-After"] = str(int(wait_seconds) + spread)


class NotReadyError(RetryableError):
    """The service is starting or stopping."""

    def __init__(self, detail: str, most_seconds: int) -> None:
        super().__init__("not_ready", detail, most_seconds)


class ModelUnavailableError(RetryableError):
    """The worker that decodes got stuck or died; another one takes its place."""

    def __init__(self, most_seconds: int) -> None:
        super().__init__(
            "model_unavailable",
            "Decoding was interrupted and starts anew. The same request can succeed now.",
            most_seconds,
        )


class DeadlineError(ServiceError):
    """The time of the request ran out before its translation was ready."""

    def __init__(self) -> None:
        super().__init__(
            "deadline_exceeded",
            "The translation was not ready within the time for this request. "
            "Send less text, or a longer `deadline_ms` where the service allows it.",
        )


class InferenceError(ServiceError):
    """The network failed on this request; other requests are not affected."""

    def __init__(self) -> None:
        super().__init__(
            "inference_failed",
            "The network failed on this request. The log of the service has the cause "
            "under the id of this request.",
        )


def problem_document(
    code: str, detail: str, errors: Sequence[FieldError], request_id: str
) -> dict[str, object]:
    """The body of a problem response: RFC 9457's members and our `code`, `errors`, `request_id`."""
    problem = PROBLEMS[code]
    return {
        "type": f"urn:softalign:problem:{code}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "code": code,
        "errors": [asdict(error) for error in errors],
        "request_id": request_id,
    }
