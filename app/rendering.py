"""From translations to response bodies: spans in the caller's unit, weights in the asked form."""

from collections.abc import Callable, Iterator

from torch import Tensor

from app.errors import ServiceError
from app.models import LoadedModel
from app.schemas import (
    AlignmentReply,
    AlignmentRequest,
    DenseMatrix,
    EosMass,
    FinishReason,
    HypothesisReply,
    Level,
    LinkedMatrix,
    Matrix,
    ModelIdentity,
    Piece,
    SegmentReply,
    SourceToken,
    Span,
    SparseMatrix,
    TargetToken,
    TranslateReply,
    TranslateRequest,
    TranslationReply,
    Usage,
)
from app.translator import SentenceTranslation, TextTranslation, Translations
from model.alignment import Alignment, AlignmentKind, links
from model.offsets import offset_converter
from model.tokenizer import Tokenizer
from model.words import Token

SPARSE_THRESHOLD = 0.01
"""Smallest weight of the sparse form where a request names none."""

LOG_PROB_DECIMALS = 6


class MatrixTooLargeError(ServiceError):
    """The weights of a response in dense form are more than the limit."""

    def __init__(self, cells: int, limit: int) -> None:
        super().__init__(
            "matrix_too_large",
            f"The alignment has {cells} weights and a response may have {limit}. "
            "Ask for the form `sparse` or `links`, for one level, or send less text.",
        )


def render(
    translations: Translations, model: LoadedModel, request: TranslateRequest, max_cells: int
) -> TranslateReply:
    """The response to `request`; raises MatrixTooLargeError above `max_cells` dense weights."""
    kind: AlignmentKind | None = "attention" if model.has_attention else None
    renderer = _Renderer(request, kind, model.checkpoint.target_tokenizer)
    check_cells(translations, request.alignment if kind else None, max_cells)
    return TranslateReply(
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
        self, request: TranslateRequest, kind: AlignmentKind | None, tokenizer: Tokenizer
    ) -> None:
        self._tokenizer = tokenizer
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
            alignment=self._alignment(translation, places),
        )

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
            target_pieces=list(_target_pieces(sentence, self._tokenizer, places))
            if with_pieces
            else None,
        )

    def _alignment(self, translation: TextTranslation, places: "_Places") -> AlignmentReply | None:
        if self._asked is None or self._kind is None:
            return None
        return AlignmentReply(
            kind=self._kind,
            offset_encoding=self._encoding,
            segments=[
                _matrix(index, sentence, self._kind, level, self._asked, places)
                for index, sentence in enumerate(translation.sentences)
                for level in self._asked.levels
            ],
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

    def source_token(self, token: Token) -> SourceToken:
        return SourceToken(
            text=token.text, start=self._source(token.start), end=self._source(token.end)
        )

    def target_token(self, token: Token, log_prob: float) -> TargetToken:
        return TargetToken(
            text=token.text,
            start=self._target(token.start),
            end=self._target(token.end),
            log_prob=_rounded(log_prob),
        )


def _matrix(
    segment: int,
    sentence: SentenceTranslation,
    kind: AlignmentKind,
    level: Level,
    asked: AlignmentRequest,
    places: _Places,
) -> Matrix:
    alignment = sentence.alignment(level, kind)
    log_probs = sentence.log_probs(level)
    decimals = asked.precision
    described = {
        "segment": segment,
        "level": level,
        "source_tokens": [places.source_token(token) for token in alignment.source],
        "target_tokens": [
            places.target_token(token, log_prob)
            for token, log_prob in zip(alignment.target, log_probs, strict=True)
        ],
        "eos": _eos_mass(alignment, decimals),
    }
    if asked.form == "links":
        return LinkedMatrix.model_validate(
            {**described, "links": _links(alignment, asked.threshold, decimals)}
        )
    if asked.form == "sparse":
        least = SPARSE_THRESHOLD if asked.threshold is None else asked.threshold
        return SparseMatrix.model_validate({**described, **_sparse(alignment, least, decimals)})
    return DenseMatrix.model_validate(
        {**described, "weights": _decimals(alignment.weights, decimals)}
    )


def _eos_mass(alignment: Alignment, decimals: int) -> EosMass:
    row = alignment.eos_row
    return EosMass(
        source_mass=_decimals(alignment.eos, decimals),
        target_row=None if row is None else _decimals(row, decimals),
    )


def _links(
    alignment: Alignment, threshold: float | None, decimals: int
) -> list[tuple[int, int, float]]:
    return [
        (link.source, link.target, round(link.weight, decimals))
        for link in links(alignment.weights, threshold)
    ]


def _sparse(alignment: Alignment, threshold: float, decimals: int) -> dict[str, object]:
    weights = alignment.weights
    kept = weights >= threshold
    rows, cols = kept.nonzero(as_tuple=True)
    return {
        "shape": tuple(weights.shape),
        "rows": rows.tolist(),
        "cols": cols.tolist(),
        "values": _decimals(weights[kept], decimals),
        "dropped_mass": _decimals(weights.masked_fill(kept, 0.0).sum(dim=1), decimals),
    }


def _decimals(weights: Tensor, decimals: int) -> list[float]:
    # In double precision, so that 0.1 is printed as 0.1 and not as 0.10000000149.
    rounded: list[float] = weights.double().round(decimals=decimals).tolist()
    return rounded


def _source_pieces(sentence: SentenceTranslation, places: _Places) -> Iterator[Piece]:
    source = sentence.source
    for identity, piece, token in zip(
        source.encoded.ids, source.encoded.pieces, source.pieces, strict=True
    ):
        span = places.source_span(source.start + token.start, source.start + token.end)
        yield Piece(id=identity, piece=piece, start=span.start, end=span.end)


def _target_pieces(
    sentence: SentenceTranslation, tokenizer: Tokenizer, places: _Places
) -> Iterator[Piece]:
    start, ids = sentence.target_start, sentence.target_ids
    for identity, piece, token, log_prob in zip(
        ids,
        tokenizer.pieces(ids),
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
