"""What every form is made from: a text, its translation and the alignments of their segments."""

from dataclasses import dataclass, field
from typing import Literal

from app.schemas import AlignmentRequest
from model.alignment import Alignment, AlignmentKind

Theme = Literal["light", "dark", "print"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedSegment:
    """One segment at one level."""

    segment: int
    """Its index among all segments of the text, from zero."""
    alignment: Alignment
    """In coordinates of the whole text and the whole translation."""
    log_probs: tuple[float, ...]
    """Natural logarithm of the probability of each target token."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedText:
    """A text with its translation, and the segments whose alignments were asked for."""

    source: str
    target: str
    source_language: str
    target_language: str
    kind: AlignmentKind
    """Of all `segments`."""
    segments: tuple[AlignedSegment, ...]

    @property
    def cells(self) -> int:
        """Weights of all segments."""
        return sum(one.alignment.weights.numel() for one in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """How a form is written; each form reads what concerns it."""

    alignment: AlignmentRequest = field(default_factory=AlignmentRequest)
    """JSON's form; threshold, decimals and unit of offsets in every form."""
    theme: Theme = "light"
    """Colours of the pictures."""
    max_tokens: int = 60
    """Most source and most target tokens of a segment that a picture draws; it says what it leaves
    out."""
    width: int = 80
    """Cells of a terminal line."""
