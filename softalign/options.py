"""What can be asked of the service; docs/api.md says what each option does."""

from collections.abc import Mapping
from typing import Literal, TypedDict

Kind = Literal["attention", "head"]
Level = Literal["word", "piece"]
LinkRule = Literal["weight", "agreement"]
OffsetEncoding = Literal["utf-32", "utf-16", "utf-8"]
Theme = Literal["light", "dark", "print"]


class AlignmentOptions(TypedDict, total=False):
    """Which alignment, and how exactly it is told."""

    kind: Kind
    """`attention` (default), or `head` where the model has an alignment head."""
    level: Level
    """`word` (default) or `piece`."""
    threshold: float
    """Pairs of at least this weight are links too, beside the best one of each target token."""
    precision: int
    """Decimals of weights, 6 by default."""
    offset_encoding: OffsetEncoding
    """Unit of spans. The default `utf-32` is that of Python's strings."""
    form: Literal["dense", "sparse"]
    """`sparse` for texts whose matrices are too large (`matrix_too_large`): small weights are 0."""


class TranslateOptions(AlignmentOptions, total=False):
    """Everything about a translation but its text."""

    source_lang: str
    target_lang: str
    model: str
    beam_size: int
    n_best: int
    length_penalty: float
    coverage_penalty: float
    no_repeat_ngram_size: int
    max_length: int
    store: Literal[True, False, "best_effort"]
    ttl: int
    deadline_ms: int
    lane: Literal["interactive", "bulk"]
    align: bool
    """False leaves the alignment out."""
    idempotency_key: str
    """Instead of a new one for each call: the answer of the first time for 24 hours."""


class AlignOptions(AlignmentOptions, total=False):
    """Everything about the alignment of pairs but the pairs."""

    source_lang: str
    target_lang: str
    model: str
    split: bool
    deadline_ms: int
    align: bool
    """False leaves the alignment out: scores alone."""


class FormOptions(TypedDict, total=False):
    """How a form of an alignment is made; what is left out is as in the result itself."""

    kind: Kind
    level: Level
    threshold: float
    precision: int
    offset_encoding: OffsetEncoding
    theme: Theme
    max_tokens: int
    width: int
    segment: int
    """One segment alone; only of stored translations."""


DECODING = (
    "beam_size",
    "n_best",
    "length_penalty",
    "coverage_penalty",
    "no_repeat_ngram_size",
    "max_length",
)
ALIGNMENT = ("kind", "level", "threshold", "precision", "offset_encoding", "form")
LAYOUT = ("theme", "max_tokens", "width")


def refuse_unknown(given: Mapping[str, object], known: type) -> None:
    """Raise TypeError for options that there are not, as Python does for keyword arguments."""
    names: frozenset[str] = getattr(known, "__optional_keys__", frozenset())
    unknown = sorted(given.keys() - names)
    if unknown:
        raise TypeError(f"unknown options: {', '.join(unknown)}; see softalign.{known.__name__}")
