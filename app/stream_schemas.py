"""What goes over the wire while a translation is being made; `docs/api.md` tells how to read it."""

from app.reply_schemas import Piece, Span
from app.schemas import FinishReason, ReplyModel


class SegmentEvent(ReplyModel):
    """`segment`: a sentence, before its first token."""

    translation: int
    """Which of the texts it belongs to."""
    segment: int
    """Which of the sentences of that text it is."""
    source: Span
    """Where it stands in the text that was sent."""
    source_pieces: list[Piece]
    """The columns of `weights`; spans index the text that was sent."""


class TokenEvent(ReplyModel):
    """`token`: one piece of a sentence's translation; replaces what was said for its `index`."""

    translation: int
    segment: int
    index: int
    """Which piece of the sentence's translation it is."""
    id: int
    piece: str
    """As the vocabulary writes it."""
    text: str
    """What it appends; the texts of a sentence, joined, are its translation so far."""
    start: int
    """Where it stands in the translation of the sentence so far, white space left out."""
    end: int
    log_prob: float
    weights: list[float] | None
    """How much each source piece was attended to, or weighed by the alignment head where that kind
    is asked for; null where no alignment is."""
    eos: float | None
    """How much the end of the source was attended to; with `weights` it adds up to 1."""
    stable: bool
    """True: will not be replaced any more."""


class SegmentEndEvent(ReplyModel):
    """`segment_end`: the translation of a sentence is complete."""

    translation: int
    segment: int
    text: str
    pieces: int
    """How many it has; what was said for a later `index` is void."""
    score: float
    log_prob: float
    finish_reason: FinishReason
