"""From translations to response bodies: spans in the caller's unit, weights in the asked form."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from app.align_schemas import AlignReply, AlignRequest, PairReply
from app.composition import SentenceTranslation, TextTranslation
from app.errors import MatrixTooLargeError
from app.formats.aligned import AlignedSegment, AlignedText
from app.formats.json_document import LOG_PROB_DECIMALS, alignment_reply
from app.models import LoadedModel
from app.reply_schemas import (
    AlignmentReply,
    FailedText,
    FieldProblem,
    HypothesisReply,
    ModelIdentity,
    Piece,
    RecordReply,
    SegmentReply,
    Span,
    TranslateReply,
    TranslationReply,
    Usage,
)
from app.schemas import AlignmentRequest, FinishReason, Level, TranslateRequest
from app.translator import Translations
from model.alignment import AlignmentKind
from model.offsets import offset_converter


def render(
    translations: Translations,
    model: LoadedModel,
    request: TranslateRequest,
    max_cells: int,
    receipt: RecordReply | None = None,
    *,
    is_detected: bool = False,
) -> TranslateReply:
    """The response to `request`, with the `receipt` of what is stored.

    `is_detected` says whether the source language was.

    Raises MatrixTooLargeError above `max_cells` dense weights.
    """
    kind = asked_kind(request) if model.has_attention else None
    renderer = _Renderer(request, model, kind, is_detected)
    check_cells(translations, request.alignment if kind else None, max_cells)
    return TranslateReply(
        id=receipt.id if receipt else None,
        record=receipt,
        model=_identity(model),
        translations=[
            renderer.translation(n_best)
            if n_best
            else FailedText(problem=FieldProblem(**asdict(translations.problems[pointer])))
            for pointer, n_best in zip(request.text_pointers, translations.texts, strict=True)
        ],
        usage=Usage(
            characters=sum(len(n_best[0].source) for n_best in translations.texts if n_best),
            source_tokens=translations.source_tokens,
            target_tokens=translations.target_tokens,
        ),
    )


def render_pairs(
    pairs: Translations,
    model: LoadedModel,
    request: AlignRequest,
    max_cells: int,
    opposite: LoadedModel | None,
    is_detected: bool,
) -> AlignReply:
    """The response to `request`; raises MatrixTooLargeError above `max_cells` dense weights.

    `opposite` is the model of the opposite direction, where it aligned the pairs too.
    """
    kind = asked_kind(request) if model.has_attention else None
    renderer = _Renderer(request, model, kind, is_detected)
    check_cells(pairs, request.alignment if kind else None, max_cells)
    return AlignReply(
        model=_identity(model),
        opposite_model=None if opposite is None else _identity(opposite),
        pairs=[renderer.pair(forced) for [forced] in pairs.texts],
        usage=Usage(
            characters=sum(len(pair.source) + len(pair.text) for [pair] in pairs.texts),
            source_tokens=pairs.source_tokens,
            target_tokens=pairs.target_tokens,
        ),
    )


def _identity(model: LoadedModel) -> ModelIdentity:
    return ModelIdentity(name=model.name, digest=model.checkpoint.digest)


def asked_kind(request: TranslateRequest | AlignRequest) -> AlignmentKind:
    """The kind of alignment that is asked for, if any is."""
    return request.alignment.kind if request.alignment else "attention"


def check_cells(translations: Translations, asked: AlignmentRequest | None, max_cells: int) -> None:
    """Refuse dense alignments that would be too large, before any of them is made."""
    if asked is None or asked.form != "dense":
        return
    cells = len(asked.levels) * sum(
        sentence.hypothesis.weights.numel()
        for of_text in translations.texts
        for translation in of_text
        for sentence in translation.sentences
    )
    if cells > max_cells:
        raise MatrixTooLargeError(cells, max_cells)


class _Renderer:
    """Renders each hypothesis of one response in the same way."""

    def __init__(
        self,
        request: TranslateRequest | AlignRequest,
        model: LoadedModel,
        kind: AlignmentKind | None,
        is_detected: bool,
    ) -> None:
        self._model = model
        self._is_detected = is_detected
        self._include = request.include
        self._asked = request.alignment if kind else None
        self._kind = kind
        # Without an alignment there is nobody who could have asked for another unit.
        encoding = request.alignment.offset_encoding if request.alignment else "utf-32"
        self._encoding = encoding

    def translation(self, n_best: Sequence[TextTranslation]) -> TranslationReply:
        best, *others = n_best
        return TranslationReply(
            **dict(self.hypothesis(best)),
            source_lang=self._model.source_language,
            source_lang_detected=self._is_detected,
            target_lang=self._model.target_language,
            alternatives=[self.hypothesis(other) for other in others],
        )

    def hypothesis(self, translation: TextTranslation) -> HypothesisReply:
        return HypothesisReply(
            text=translation.text,
            score=_rounded(translation.score),
            log_prob=_rounded(translation.log_prob),
            finish_reason=_finish_reason(translation.finished),
            segments=self._segments(translation),
            alignment=self._alignment(translation),
        )

    def pair(self, forced: TextTranslation) -> PairReply:
        pieces = sum(len(sentence.hypothesis.tokens) for sentence in forced.sentences)
        return PairReply(
            source_lang=self._model.source_language,
            source_lang_detected=self._is_detected,
            target_lang=self._model.target_language,
            score=_rounded(forced.score),
            log_prob=_rounded(forced.log_prob),
            perplexity=_rounded(math.exp(-forced.log_prob / pieces)),
            segments=self._segments(forced),
            alignment=self._alignment(forced),
        )

    def _segments(self, translation: TextTranslation) -> list[SegmentReply] | None:
        if not self._include:
            return None
        places = _Places(
            offset_converter(translation.source, self._encoding),
            offset_converter(translation.text, self._encoding),
        )
        return [self._segment(sentence, places) for sentence in translation.sentences]

    def _alignment(self, translation: TextTranslation) -> AlignmentReply | None:
        if self._asked is None or self._kind is None:
            return None
        languages = self._model.source_language, self._model.target_language
        aligned = aligned_text(translation, languages, self._kind, self._asked.levels)
        return alignment_reply(aligned, self._asked)

    def _segment(self, sentence: SentenceTranslation, places: "_Places") -> SegmentReply:
        with_pieces = "tokens" in self._include
        return SegmentReply(
            source=places.source_span(sentence.source.start, sentence.source.end),
            target=places.target_span(sentence.target_start, sentence.target_end),
            score=_rounded(sentence.hypothesis.score),
            log_prob=_rounded(sentence.hypothesis.log_prob),
            finish_reason=_finish_reason(sentence.hypothesis.finished),
            split=sentence.source.split,
            source_pieces=list(_source_pieces(sentence, places)) if with_pieces else None,
            target_pieces=list(_target_pieces(sentence, self._model, places))
            if with_pieces
            else None,
        )


def aligned_text(
    translation: TextTranslation,
    languages: tuple[str, str],
    kind: AlignmentKind,
    levels: Sequence[Level],
    segment: int | None = None,
) -> AlignedText:
    """A translation with the alignments of its sentences, ready for any of `app/formats`.

    `languages` are that of the source and that of the target; `segment` picks one sentence.
    """
    return AlignedText(
        source=translation.source,
        target=translation.text,
        source_language=languages[0],
        target_language=languages[1],
        kind=kind,
        segments=tuple(
            AlignedSegment(
                segment=index,
                alignment=sentence.alignment(level, kind, translation.threshold(kind)),
                log_probs=tuple(sentence.log_probs(level)),
            )
            for index, sentence in enumerate(translation.sentences)
            if segment in (None, index)
            for level in levels
        ),
    )


class _Places:
    """Converts spans of one text and its translation into the caller's unit."""

    def __init__(self, source: Callable[[int], int], target: Callable[[int], int]) -> None:
        self._source = source
        self._target = target

    def source_span(self, start: int, end: int) -> Span:
        return Span(start=self._source(start), end=self._source(end))

    def target_span(self, start: int, end: int) -> Span:
        return Span(start=self._target(start), end=self._target(end))


def _source_pieces(sentence: SentenceTranslation, places: _Places) -> Iterator[Piece]:
    source = sentence.source
    for identity, piece, token in zip(
        source.encoded.ids, source.encoded.pieces, source.pieces, strict=True
    ):
        span = places.source_span(source.start + token.start, source.start + token.end)
        yield Piece(id=identity, piece=piece, start=span.start, end=span.end)


def _target_pieces(
    sentence: SentenceTranslation, model: LoadedModel, places: _Places
) -> Iterator[Piece]:
    start, ids = sentence.target_start, sentence.target_ids
    for identity, piece, token, log_prob in zip(
        ids,
        model.checkpoint.target_tokenizer.pieces(ids),
        sentence.target_pieces,
        sentence.log_probs("piece"),
        strict=True,
    ):
        span = places.target_span(start + token.start, start + token.end)
        yield Piece(
            id=identity,
            piece=piece,
            start=span.start,
            end=span.end,
            log_prob=_rounded(log_prob),
        )


def _finish_reason(finished: bool) -> FinishReason:
    return "stop" if finished else "length"


def _rounded(value: float) -> float:
    return round(value, LOG_PROB_DECIMALS)
