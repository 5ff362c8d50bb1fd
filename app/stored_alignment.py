"""The alignment of a stored translation, made again from what its record keeps."""

from collections.abc import Sequence
from typing import TypeVar

from app.errors import FieldError, InvalidInputError
from app.form_query import AlignmentQuery
from app.formats.aligned import AlignedText
from app.rendering import aligned_text
from app.storage.record import Record
from app.stored_translation import restore

T = TypeVar("T")


def stored_alignment(record: Record, asked: AlignmentQuery) -> AlignedText:
    """What `asked` names of `record`; raises InvalidInputError where that has no such part."""
    texts = restore(record)
    if asked.text is None and len(texts) != 1:
        message = f"This translation has {len(texts)} texts: name one, from 0 to {len(texts) - 1}."
        raise InvalidInputError.of([FieldError("/text", "one_text_needed", message)])
    hypotheses = _part(texts, asked.text or 0, "text")
    if not hypotheses:
        message = "This text could not be translated, so it has no alignment."
        raise InvalidInputError.of([FieldError("/text", "alignment_unavailable", message)])
    translation = _part(hypotheses, asked.hypothesis, "hypothesis")
    if asked.segment is not None:
        _part(translation.sentences, asked.segment, "segment")
    found = [sentence.hypothesis for sentence in translation.sentences]
    stored = [one.head_weights if asked.kind == "head" else one.weights for one in found]
    if any(matrix is None or matrix.shape[1] == 0 for matrix in stored):
        message = f"No alignment of the kind `{asked.kind}` was stored with this translation."
        raise InvalidInputError.of([FieldError("/kind", "alignment_unavailable", message)])
    languages = record.source_lang, record.target_lang
    levels = asked.alignment.levels
    return aligned_text(translation, languages, asked.kind, levels, asked.segment)


def _part(parts: Sequence[T], index: int, name: str) -> T:
    if index >= len(parts):
        message = f"There is no {name} {index}: there are {len(parts)}, counted from 0."
        raise InvalidInputError.of([FieldError(f"/{name}", "validation_failed", message)])
    return parts[index]
