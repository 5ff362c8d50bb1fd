"""The limits of an operator on a request, checked before any work is done for it."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from app.align_schemas import AlignRequest
from app.description_schemas import LimitsReply
from app.errors import FieldError, InvalidInputError
from app.schemas import TranslateRequest
from app.settings import Settings


def is_blank(text: str) -> bool:
    """True where nothing is visible: white space, format and control characters only."""
    return all(letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf") for letter in text)


def check_limits(request: TranslateRequest, settings: Settings) -> dict[str, FieldError] | None:
    """Refuse what is above a limit; raises `InvalidInputError` with every field that is.

    With `on_error: "partial"` texts that cannot be translated are returned instead, by their
    pointers, as long as there are others; None where that was not asked for.
    """
    of_texts = [*_text_errors({"/text": request.texts}, {"/text": request.text_pointers}, settings)]
    errors = _decoding_errors(request, settings)
    problems = {error.pointer: error for error in of_texts if error.code != "too_many_texts"}
    is_partial = request.on_error == "partial" and len(problems) < len(request.texts)
    if errors or (of_texts and not (is_partial and problems)):
        raise InvalidInputError.of([*of_texts, *errors][:20])
    return problems if request.on_error == "partial" else None


def check_pair_limits(request: AlignRequest, settings: Settings) -> None:
    """The same for pairs: both sides count."""
    texts = {"/source": request.sources, "/target": request.targets}
    pointers = {"/source": request.pointers("source"), "/target": request.pointers("target")}
    errors = list(_text_errors(texts, pointers, settings))
    if errors:
        raise InvalidInputError.of(errors[:20])


def _text_errors(
    texts: Mapping[str, Sequence[str]], pointers: Mapping[str, Sequence[str]], settings: Settings
) -> Iterator[FieldError]:
    """What is wrong with the texts of each field."""
    for field, of_field in texts.items():
        if len(of_field) > settings.max_texts:
            message = f"A request may have {settings.max_texts} texts; this has {len(of_field)}."
            yield FieldError(field, "too_many_texts", message)
            continue
        for pointer, text in zip(pointers[field], of_field, strict=True):
            problem = _text_problem(text, settings)
            if problem is not None:
                yield FieldError(pointer, *problem)


def _text_problem(text: str, settings: Settings) -> tuple[str, str] | None:
    """Code and message of what is wrong with one text."""
    if len(text) > settings.max_text_characters:
        return (
            "text_too_long",
            f"A text may have {settings.max_text_characters} characters; "
            f"this one has {len(text)}. Send it in parts.",
        )
    if (position := text.find("\0")) >= 0:
        return "control_character", f"The character U+0000 stands at {position}; leave it out."
    if is_blank(text):
        return "empty_text", "The text has nothing to translate."
    return None


def _decoding_errors(request: TranslateRequest, settings: Settings) -> list[FieldError]:
    asked = {
        "beam_size": (request.decoding.beam_size, settings.max_beam_size),
        "max_length": (request.decoding.max_length or 0, settings.max_output_tokens),
    }
    return [
        FieldError(f"/decoding/{name}", "limit_exceeded", f"The value must be at most {limit}.")
        for name, (value, limit) in asked.items()
        if value > limit
    ]


def describe_limits(settings: Settings) -> LimitsReply:
    """The limits as `/v1/limits` publishes them."""
    return LimitsReply.model_validate(settings.model_dump(include=set(LimitsReply.model_fields)))
