"""What a translation looks like in an answer, and what a problem does."""

from typing import Annotated, Literal

from pydantic import Field

from app.schemas import FinishReason, Level, ReplyModel
from model.alignment import AlignmentKind, LinkRule
from model.offsets import OffsetEncoding


class Span(ReplyModel):
    """Half-open range of a text: `text[start:end]`, in the asked `offset_encoding`."""

    start: int
    end: int


class SourceToken(ReplyModel):
    """A word or piece of the caller's text; `text` is exactly what stands at its range there."""

    text: str
    start: int
    end: int


class TargetToken(ReplyModel):
    """A word or piece of the translation."""

    text: str
    start: int
    end: int
    log_prob: float
    """Natural logarithm of its probability: the sum over its pieces."""


class EosMass(ReplyModel):
    """What the network attended to at, and from, the end of the sentence, which no matrix shows."""

    source_mass: list[float]
    """For each target token the weight on the end of the source; its row and this add up to 1."""
    target_row: list[float] | None
    """The row of the target's end: a weight for each source token and, last, for the source's end;
    null where the translation was cut off before its end."""


class MatrixReply(ReplyModel):
    """The alignment of one segment at one level, without its weights."""

    segment: int
    """Index into `segments`."""
    level: Level
    source_tokens: list[SourceToken]
    target_tokens: list[TargetToken]
    eos: EosMass


class DenseMatrix(MatrixReply):
    """All weights: `weights[target][source]`."""

    form: Literal["dense"] = "dense"
    weights: list[list[float]]


class LinkedMatrix(MatrixReply):
    """Pairs `[source, target, weight]`, zero-based, in the order of Pharaoh's `source-target`."""

    form: Literal["links"] = "links"
    links: list[tuple[int, int, float]]


class SparseMatrix(MatrixReply):
    """The weights of at least `threshold`, as coordinates."""

    form: Literal["sparse"] = "sparse"
    shape: tuple[int, int]
    """Numbers of target and source tokens."""
    rows: list[int]
    cols: list[int]
    values: list[float]
    dropped_mass: list[float]
    """For each target token the sum of the weights that are not listed."""


Matrix = Annotated[DenseMatrix | LinkedMatrix | SparseMatrix, Field(discriminator="form")]


class AlignmentReply(ReplyModel):
    """Alignment of a translation, in coordinates of the whole text; docs/api.md says each rule."""

    version: Literal[1] = 1
    kind: AlignmentKind
    """`attention`: what the decoder weighed to make each token, before it was known; `head`: what
    the alignment head weighed that has seen it."""
    orientation: Literal["target_rows"] = "target_rows"
    pooling: Literal["sum_source_mean_target"] = "sum_source_mean_target"
    """Words from pieces: columns of a source word are summed, rows of a target word averaged."""
    normalised: Literal["row_with_eos"] = "row_with_eos"
    """A row and its `eos.source_mass` add up to 1; rows are never normalised again."""
    offset_encoding: OffsetEncoding
    link_threshold: float | None = None
    """From which weight or agreement on pairs are links; null: only the best of each token are."""
    link_rule: LinkRule = "weight"
    """`weight`: each target token's best pair, and all from `link_threshold` on; `agreement`: the
    pairs whose agreement √(weight · its share of its column) reaches `link_threshold`;
    `both_directions`: the same of the mean with the agreement of a model of the opposite
    direction, whose weights are not told."""
    segments: list[Matrix]


class Piece(ReplyModel):
    """One piece of the vocabulary as the network read or wrote it."""

    id: int
    piece: str
    start: int
    end: int
    log_prob: float | None = None
    """Natural logarithm of its probability; null on the source side."""


class SegmentReply(ReplyModel):
    """One sentence: the unit that is translated at once."""

    source: Span
    target: Span
    score: float
    log_prob: float
    finish_reason: FinishReason
    split: bool
    """True where this is a part of a sentence that was too long to be translated at once."""
    source_pieces: list[Piece] | None = None
    target_pieces: list[Piece] | None = None


class HypothesisReply(ReplyModel):
    """One translation of a text."""

    text: str
    score: float
    """What the search ranks by (penalties applied), summed over the segments."""
    log_prob: float
    """Natural logarithm of the probability of all target pieces."""
    finish_reason: FinishReason
    """`stop`: every segment came to its end; `length`: at least one was cut off at its limit."""
    segments: list[SegmentReply] | None
    alignment: AlignmentReply | None


class TranslationReply(HypothesisReply):
    """The best translation of a text."""

    source_lang: str
    source_lang_detected: bool = False
    """Whether the request left it out and it was told by the text."""
    target_lang: str
    alternatives: list[HypothesisReply]
    """The next best ones, best first, each with its own alignment."""


class ModelIdentity(ReplyModel):
    """Which weights answered."""

    name: str
    digest: str


class Usage(ReplyModel):
    """How much was read and written."""

    characters: int
    source_tokens: int
    target_tokens: int


class RecordReply(ReplyModel):
    """Where and until when an answer is stored."""

    id: str
    created_at: str
    """UTC, RFC 3339, as `expires_at`."""
    expires_at: str


class FieldProblem(ReplyModel):
    """One thing that is wrong in a request."""

    pointer: str
    """JSON pointer (RFC 6901) into the body."""
    code: str
    message: str


class FailedText(ReplyModel):
    """What stands in the place of a translation where `on_error` is `partial`."""

    problem: FieldProblem


class TranslateReply(ReplyModel):
    """The translations, in the order of the texts."""

    id: str | None
    """Under it the answer can be fetched again: `/v1/translations/{id}`; null if not stored."""
    record: RecordReply | None
    """Null if not stored."""
    model: ModelIdentity
    translations: list[TranslationReply | FailedText]
    usage: Usage


class ProblemReply(ReplyModel):
    """An error, as RFC 9457 tells it; the media type is application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable: what a program should look at."""
    errors: list[FieldProblem]
    request_id: str
