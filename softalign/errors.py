"""What can go wrong.

SoftalignError
├── UnreachableError            no connection, or it broke before the answer was complete
├── InterruptedStreamError      a stream ended without saying `done`
├── UnexpectedAnswerError       an answer that is not the service's, such as a proxy's
├── NoAlignmentError            a result without alignment was asked for its own
├── NotStoredError              a form was asked of a result that the service does not keep
└── ProblemError                the service says no; `code` says why, and is stable
    ├── InvalidRequestError     400, 406, 413, 414, 415, 422, 431
    ├── AuthenticationError     401
    ├── PermissionDeniedError   403
    ├── NotFoundError           404
    ├── ConflictError           409
    ├── RateLimitedError        429
    ├── UnavailableError        503, 507
    └── DeadlineExceededError   504
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class SoftalignError(Exception):
    """All errors of this package but those of wrong arguments."""


class UnreachableError(SoftalignError):
    """The service could not be reached, however often it was tried."""


class InterruptedStreamError(SoftalignError):
    """The connection ended in the middle of a translation."""


class UnexpectedAnswerError(SoftalignError):
    """Something else than the service answered."""


class NoAlignmentError(SoftalignError):
    """There is no alignment: it was left out, or the model has no attention."""


class NotStoredError(SoftalignError):
    """Forms are made from what the service stored, and it did not store this."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing that is wrong in a request."""

    pointer: str
    """JSON pointer into the body, such as `/text/3`."""
    code: str
    message: str


class ProblemError(SoftalignError):
    """An answer that tells a problem (RFC 9457)."""

    def __init__(self, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = int(document["status"])
        self.code = str(document["code"])
        self.detail = str(document["detail"])
        self.errors = tuple(
            FieldProblem(one["pointer"], one["code"], one["message"])
            for one in document.get("errors", ())
        )
        self.request_id = str(document.get("request_id", ""))
        """Under it the log of the service has the request."""
        self.retry_after = retry_after
        """Seconds after which the service asks to be tried again."""
        super().__init__(str(self))

    def __str__(self) -> str:
        """The problem in a sentence, with every field that is wrong."""
        places = [f"{one.pointer}: {one.message}" for one in self.errors]
        return "; ".join([f"{self.detail} ({self.status} {self.code})", *places])


class InvalidRequestError(ProblemError):
    """The request cannot be answered as it is; trying again does not help."""


class AuthenticationError(ProblemError):
    """There is no key, or not a good one."""


class PermissionDeniedError(ProblemError):
    """The key is good, but not for this."""


class NotFoundError(ProblemError):
    """There is no such address or translation, or it has expired."""


class ConflictError(ProblemError):
    """The idempotency key came with another body before."""


class RateLimitedError(ProblemError):
    """The caller's quota is used up."""


class UnavailableError(ProblemError):
    """The service is full, starting, stopping or out of storage."""


class DeadlineExceededError(ProblemError):
    """The answer was not ready in time."""


_CLASSES: dict[int, type[ProblemError]] = {
    **dict.fromkeys((400, 406, 413, 414, 415, 422, 431), InvalidRequestError),
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitedError,
    503: UnavailableError,
    507: UnavailableError,
    504: DeadlineExceededError,
}


def problem_error(document: Mapping[str, Any], retry_after: float | None = None) -> ProblemError:
    """The exception for a problem document."""
    return _CLASSES.get(int(document["status"]), ProblemError)(document, retry_after)


def error_of_answer(status: int, content: bytes, retry_after: float | None) -> SoftalignError:
    """The exception for an answer that is no success."""
    try:
        document = json.loads(content)
        return problem_error(document, retry_after)
    except (ValueError, KeyError, TypeError):
        return UnexpectedAnswerError(
            f"status {status} without a problem document: is this address a Softalign service, "
            "and is a proxy in between?"
        )
