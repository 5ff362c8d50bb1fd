"""The limits of an operator on a request, checked before any work is done for it."""

from app.errors import FieldError, InvalidInputError
from app.schemas import LimitsReply, TranslateRequest
from app.settings import Settings


def check_limits(request: TranslateRequest, settings: Settings) -> None:
    """Refuse what is above a limit; raises `InvalidInputError` with every field that is."""
    errors = [*_text_errors(request, settings), *_decoding_errors(request, settings)]
    if errors:
        raise InvalidInputError.of(errors[:20])


def _text_errors(request: TranslateRequest, settings: Settings) -> list[FieldError]:
    texts = request.texts
    if len(texts) > settings.max_texts:
        message = f"A request may have {settings.max_texts} texts; this one has {len(texts)}."
        return [FieldError("/text", "too_many_texts", message)]
    return [
        FieldError(
            pointer,
            "text_too_long",
            f"A text may have {settings.max_text_characters} characters; "
            f"this one has {len(text)}. Send it in parts.",
        )
        for pointer, text in zip(request.text_pointers, texts, strict=True)
        if len(text) > settings.max_text_characters
    ]


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
