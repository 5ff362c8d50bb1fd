"""Translations as a record keeps them: a layout in JSON, and the weights in half precision.

From both, the alignment of a stored translation is made again at any level and in any form, without
the model that made it. Weights come back with 11 significant bits, so a row and what it put on the
end of the source add up to 1 ± 1e-3; all else comes back exactly.
"""

from collections.abc import Iterator

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from app.composition import SentenceTranslation, TextTranslation
from app.segments import SourceSentence
from app.storage.matrices import Matrix
from app.storage.record import Record
from app.translator import Translations
from model.hypothesis import Hypothesis
from model.tokenizer import Decoded, Encoded, Span


class StoredSentence(BaseModel):
    """One sentence with one of its hypotheses; spans index its own source and its own target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_start: int
    source: str
    source_ids: tuple[int, ...]
    source_pieces: tuple[str, ...]
    source_spans: tuple[Span, ...]
    split: bool
    target_start: int
    target: str
    target_tokens: tuple[int, ...]
    target_spans: tuple[Span, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    finished: bool


class StoredTranslation(BaseModel):
    """One hypothesis of a text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    sentences: tuple[StoredSentence, ...]


class Layout(BaseModel):
    """For each text its n-best translations; sentences stand in the order of the matrices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: tuple[tuple[StoredTranslation, ...], ...]
    head_threshold: float | None = None
    """Where the links of the alignment head begin, whose matrices then follow those of attention;
    null where it was not asked."""


def describe(translations: Translations) -> tuple[Layout, tuple[Matrix, ...]]:
    """What a record keeps of `translations`."""
    texts = translations.texts
    layout = Layout(
        texts=tuple(tuple(map(_stored_translation, n_best)) for n_best in texts),
        # A text that could not be translated has none; all others have the same.
        head_threshold=next((best.head_threshold for best, *_ in filter(None, texts)), None),
    )
    hypotheses = [
        sentence.hypothesis
        for n_best in texts
        for translation in n_best
        for sentence in translation.sentences
    ]
    weights = [one.weights for one in hypotheses]
    weights += [one.head_weights for one in hypotheses if one.head_weights is not None]
    return layout, tuple(matrix.to(torch.float16).numpy() for matrix in weights)


def restore(record: Record) -> list[list[TextTranslation]]:
    """For each text of `record` its n-best translations, best first."""
    layout = Layout.model_validate(record.layout)
    sentences = sum(len(stored.sentences) for n_best in layout.texts for stored in n_best)
    attention = iter(record.matrices[:sentences])
    head = iter(record.matrices[sentences:])
    threshold = layout.head_threshold
    return [
        [_translation(source, stored, attention, head, threshold) for stored in n_best]
        for source, n_best in zip(record.sources, layout.texts, strict=True)
    ]


def _stored_translation(translation: TextTranslation) -> StoredTranslation:
    return StoredTranslation(
        text=translation.text, sentences=tuple(map(_stored_sentence, translation.sentences))
    )


def _stored_sentence(sentence: SentenceTranslation) -> StoredSentence:
    source, hypothesis = sentence.source, sentence.hypothesis
    return StoredSentence(
        source_start=source.start,
        source=source.text,
        source_ids=source.encoded.ids,
        source_pieces=source.encoded.pieces,
        source_spans=source.encoded.spans,
        split=source.split,
        target_start=sentence.target_start,
        target=sentence.decoded.text,
        target_tokens=hypothesis.tokens,
        target_spans=sentence.decoded.spans,
        token_log_probs=hypothesis.token_log_probs,
        log_prob=hypothesis.log_prob,
        score=hypothesis.score,
        finished=hypothesis.finished,
    )


def _translation(
    source: str,
    stored: StoredTranslation,
    attention: Iterator[Matrix],
    head: Iterator[Matrix],
    threshold: float | None,
) -> TextTranslation:
    sentences = tuple(
        _sentence(sentence, next(attention), None if threshold is None else next(head))
        for sentence in stored.sentences
    )
    return TextTranslation(source, stored.text, sentences, threshold)


def _sentence(
    stored: StoredSentence, matrix: Matrix, head_matrix: Matrix | None
) -> SentenceTranslation:
    encoded = Encoded(stored.source_ids, stored.source_pieces, stored.source_spans)
    hypothesis = Hypothesis(
        tokens=stored.target_tokens,
        log_prob=stored.log_prob,
        token_log_probs=stored.token_log_probs,
        score=stored.score,
        weights=_weights(matrix),
        finished=stored.finished,
        head_weights=None if head_matrix is None else _weights(head_matrix),
    )
    return SentenceTranslation(
        source=SourceSentence(stored.source_start, stored.source, encoded, stored.split),
        hypothesis=hypothesis,
        decoded=Decoded(stored.target, stored.target_spans),
        target_start=stored.target_start,
    )


def _weights(matrix: Matrix) -> Tensor:
    return torch.from_numpy(matrix.astype(np.float32))
