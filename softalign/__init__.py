"""Client of a Softalign service: translations, and which words made which.

    from softalign import Client

    with Client("http://127.0.0.1:8000") as client:
        translation = client.translate("The black cat sleeps.", target_lang="fr")
        print(translation.text)
        for link in translation.links:
            print(link.source.text, link.target.text, link.weight)
        translation.save("alignment.svg")

docs/client.md has more.
"""

from softalign.alignment import Alignment, Link, SegmentAlignment, Token
from softalign.async_client import AsyncClient
from softalign.client import Client
from softalign.errors import (
    AuthenticationError,
    ConflictError,
    DeadlineExceededError,
    FieldProblem,
    InterruptedStreamError,
    InvalidRequestError,
    NoAlignmentError,
    NotFoundError,
    NotStoredError,
    PermissionDeniedError,
    ProblemError,
    RateLimitedError,
    SoftalignError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from softalign.events import DoneEvent, Event, SegmentEndEvent, SegmentEvent, TokenEvent
from softalign.options import AlignmentOptions, AlignOptions, FormOptions, TranslateOptions
from softalign.results import (
    AlignedText,
    FailedText,
    Hypothesis,
    Model,
    Pair,
    Segment,
    StoredTranslation,
    Translation,
)
from softalign.retries import Retries

__version__ = "0.1.0"

__all__ = [
    "AlignOptions",
    "AlignedText",
    "Alignment",
    "AlignmentOptions",
    "AsyncClient",
    "AuthenticationError",
    "Client",
    "ConflictError",
    "DeadlineExceededError",
    "DoneEvent",
    "Event",
    "FailedText",
    "FieldProblem",
    "FormOptions",
    "Hypothesis",
    "InterruptedStreamError",
    "InvalidRequestError",
    "Link",
    "Model",
    "NoAlignmentError",
    "NotFoundError",
    "NotStoredError",
    "Pair",
    "PermissionDeniedError",
    "ProblemError",
    "RateLimitedError",
    "Retries",
    "Segment",
    "SegmentAlignment",
    "SegmentEndEvent",
    "SegmentEvent",
    "SoftalignError",
    "StoredTranslation",
    "Token",
    "TokenEvent",
    "TranslateOptions",
    "Translation",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
]
