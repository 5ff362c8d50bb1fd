"""Which language a text is in, where a request leaves that out and several are served.

The detector is py3langid (Lui & Baldwin, 2012), an optional dependency: the extra `detect`.
"""

import asyncio
import functools
import importlib.util
from collections.abc import Sequence
from typing import TypeVar

from app.align_schemas import AlignRequest
from app.errors import FieldError, InvalidInputError
from app.models import LoadedModels
from app.schemas import TranslateRequest

MOST_CHARACTERS = 500
"""What is looked at of a text: far more than is needed to tell."""

LEAST_SHARE = 0.6
"""Of the probability of all languages in question, what one of them needs to be taken for it."""

Request = TypeVar("Request", TranslateRequest, AlignRequest)


def can_detect() -> bool:
    """Whether a detector is installed."""
    return importlib.util.find_spec("py3langid") is not None


async def with_source_language(request: Request, models: LoadedModels) -> Request:
    """`request` with its `source_lang`, which is detected where it decides among the models.

    The same request where it is given, where one model fits anyway, or without a detector. Raises
    InvalidInputError where it cannot be told, or texts are in several languages.
    """
    languages = models.source_languages(request.model, request.target_lang)
    if request.source_lang is not None or len(languages) < 2 or not can_detect():
        return request
    if isinstance(request, TranslateRequest):
        texts, pointers = request.texts, request.text_pointers
    else:
        texts, pointers = request.sources, request.pointers("source")
    # In a thread: the first time the detector reads its tables, which takes about a second.
    found = await asyncio.to_thread(_detect_all, texts, languages)
    told = {code for code in found if code is not None}
    if not told:
        raise InvalidInputError.of([_unclear("/source_lang", _name_it(languages))])
    if len(told) > 1:
        raise InvalidInputError.of(
            [
                _unclear(pointer, f"This looks like `{code}`; send one language at a time.")
                for pointer, code in zip(pointers, found, strict=True)
                if code is not None
            ]
        )
    return request.model_copy(update={"source_lang": told.pop()})


def detect(text: str, languages: Sequence[str]) -> str | None:
    """The one of `languages` that `text` is in; None where that is not clear."""
    probabilities = dict(_identifier().rank(text[:MOST_CHARACTERS]))
    # A regional form such as `pt-BR` is told by its language.
    found = {code: float(probabilities.get(code.partition("-")[0], 0.0)) for code in languages}
    best = max(found, key=found.__getitem__)
    return best if found[best] > LEAST_SHARE * sum(found.values()) else None


def _detect_all(texts: Sequence[str], languages: Sequence[str]) -> list[str | None]:
    return [detect(text, languages) for text in texts]


@functools.cache
def _identifier():  # type: ignore[no-untyped-def]  # noqa: ANN202 - its package has no types
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _name_it(languages: Sequence[str]) -> str:
    codes = ", ".join(f"`{code}`" for code in languages)
    return f"The language of the text is not clear; name it: {codes}."


def _unclear(pointer: str, message: str) -> FieldError:
    return FieldError(pointer, "unknown_language_pair", message)
