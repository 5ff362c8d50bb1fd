"""From translations to response bodies: spans in the caller's unit, weights in the asked form."""

from collections.abc import Callable, Iterator, Sequence

from app.errors import MatrixTooLargeError
from app.formats.aligned import AlignedSegment, AlignedText
from app.formats.json_document import LOG_PROB_DECIMALS, alignment_reply
from app.models import LoadedModel
from app.schemas import (
    AlignmentReply,
    AlignmentRequest,
    FinishReason,
    HypothesisReply,
    Level,
    ModelIdentity,
    Piece,
    RecordReply,
    SegmentReply,
    Span,
    TranslateReply,
    TranslateRequest,
    TranslationReply,
    Usage,
)
from app.translator import SentenceTranslation, TextTranslation, Translations
from model.alignment import AlignmentKind
from model.offsets import offset_converter


def render(
    translations: Translations,
    model: LoadedModel,
    request: TranslateRequest,
    max_cells: int,
    receipt: RecordReply | None = None,
) -> TranslateReply:
    """The response to `request`, with the `receipt` of what is stored.

    Raises MatrixTooLargeError above `max_cells` dense weights.
    """
    kind: AlignmentKind | None = "attention" if model.has_attention else None
    renderer = _Renderer(request, model, kind)
    check_cells(translations, request.alignment if kind else None, max_cells)
    return TranslateReply(
        id=receipt.id if receipt else None,
        record=receipt,
        model=ModelIdentity(name=model.name, digest=model.checkpoint.digest),
        translations=[
            TranslationReply(
                **dict(renderer.hypothesis(best)),
                source_lang=model.source_language,
                target_lang=model.target_language,
                alternatives=[renderer.hypothesis(other) for other in others],
            )
            for best, *others in translations.texts
        ],
        usage=Usage(
            characters=sum(len(best.source) for best, *_ in translations.texts),
            source_tokens=translations.source_tokens,
            target_tokens=translations.target_tokens,
        ),
    )


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
        self, request: TranslateRequest, model: LoadedModel, kind: AlignmentKind | None
    ) -> None:
        self._model = model
        self._include = request.include
        self._asked = request.alignment if kind else None
        self._kind = kind
        # Without an alignment there is nobody who could have asked for another unit.
        encoding = request.alignment.offset_encoding if request.alignment else "utf-32"
        self._encoding = encoding

    def hypothesis(self, translation: TextTranslation) -> HypothesisReply:
        places = _Places(
            offset_converter(translation.source, self._encoding),
            offset_converter(translation.text, self._encoding),
        )
        return HypothesisReply(
            text=translation.text,
            score=_rounded(translation.score),
            log_prob=_rounded(translation.log_prob),
            finish_reason=_finish_reason(translation.finished),
            segments=[self._segment(sentence, places) for sentence in translation.sentences]
            if self._include
            else None,
            alignment=self._alignment(translation),
        )

    def _alignment(self, translation: TextTranslation) -> AlignmentReply | None:
        if self._asked is None or self._kind is None:
            return None
        aligned = aligned_text(translation, self._model, self._kind, self._asked.levels)
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
    translation: TextTranslation, model: LoadedModel, kind: AlignmentKind, levels: Sequence[Level]
) -> AlignedText:
    """A translation with the alignments of its sentences, ready for any of `app/formats`."""
    return AlignedText(
        source=translation.source,
        target=translation.text,
        source_language=model.source_language,
        target_language=model.target_language,
        kind=kind,
        segments=tuple(
            AlignedSegment(
                segment=index,
                alignment=sentence.alignment(level, kind),
                log_probs=tuple(sentence.log_probs(level)),
            )
            for index, sentence in enumerate(translation.sentences)
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
