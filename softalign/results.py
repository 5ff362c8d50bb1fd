"""What comes back: translations and pairs, with their alignments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from softalign.alignment import Alignment, Link, Weights
from softalign.calls import Recipe, form_of_file
from softalign.errors import NoAlignmentError, SoftalignError
from softalign.notebook import framed, table
from softalign.options import FormOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ReadForm(Protocol):
    """Asks the service for the alignment of a result in a form."""

    def __call__(
        self, result: "AlignedText", form: str, /, **options: Unpack[FormOptions]
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence: where it stands in the text and in the translation."""

    source_start: int
    source_end: int
    target_start: int
    target_end: int
    score: float
    log_prob: float
    finish_reason: str
    split: bool
    """True where this is a part of a sentence that was too long to be translated at once."""


@dataclass(frozen=True)
class AlignedText:
    """A text in two languages, with what joins them."""

    source: str | None
    """What was sent; None for what was fetched by its id, which the service gives without it."""
    text: str
    source_lang: str
    source_lang_detected: bool
    """Whether it was left out, and told by the text."""
    target_lang: str
    score: float
    log_prob: float
    segments: tuple[Segment, ...]
    aligned: Alignment | None
    """As `alignment`; None where there is none."""
    recipe: Recipe | None = field(repr=False, compare=False)
    read_form: ReadForm | None = field(repr=False, compare=False)
    """None where reading needs `await`."""

    @property
    def alignment(self) -> Alignment:
        """Its alignment; raises NoAlignmentError where there is none."""
        if self.aligned is None:
            raise NoAlignmentError(
                "there is no alignment: it was left out, or the model has no attention"
            )
        return self.aligned

    @property
    def links(self) -> tuple[Link, ...]:
        """Pairs of tokens that made each other; raises NoAlignmentError."""
        return self.alignment.links

    @property
    def matrix(self) -> "NDArray[np.float64] | Weights":
        """Weights, target tokens in rows: an array of numpy where that is installed.

        Raises NoAlignmentError.
        """
        return self.alignment.matrix

    def save(self, path: str | Path, **options: Unpack[FormOptions]) -> None:
        """Write the alignment to a file, in the form that its ending names.

        The service draws it. Results of an AsyncClient are saved by `await client.save(result,
        path)`. Raises ValueError for an unknown ending, NotStoredError, SoftalignError, OSError.
        """
        form = form_of_file(str(path))
        if self.read_form is None:
            raise TypeError("this result is of an AsyncClient: `await client.save(result, path)`")
        Path(path).write_bytes(self.read_form(self, form, **options))

    def _repr_html_(self) -> str:
        """What a notebook shows: the interactive form of the service, else a plain table."""
        if self.read_form is not None and self.recipe is not None and self.aligned is not None:
            try:
                page = self.read_form(self, "html").decode()
            except (SoftalignError, RuntimeError):
                pass  # the service is gone, the client closed, or the text too long for a picture
            else:
                return framed(page, rows=len(self.aligned.target_tokens))
        return table(self.source, self.text, self.aligned, (self.source_lang, self.target_lang))


@dataclass(frozen=True)
class Hypothesis(AlignedText):
    """One translation of a text."""

    finish_reason: str
    """`length` where a sentence was cut off: then the translation is incomplete."""


@dataclass(frozen=True)
class Translation(Hypothesis):
    """The best translation of a text, and the others that the search found."""

    id: str | None
    """Under it the service keeps the whole answer; None where it keeps none."""
    index: int
    """Which of the texts of that answer this is."""
    model: str
    """`name@digest` of the weights that answered."""
    alternatives: tuple[Hypothesis, ...]
    """The next best ones, best first."""

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """All that were asked for (`n_best`), best first."""
        return (self, *self.alternatives)


@dataclass(frozen=True)
class Pair(AlignedText):
    """A text and a translation that were both given, and how a model sees them."""

    perplexity: float
    """1 is certainty; lower is more expected."""
    model: str


@dataclass(frozen=True, slots=True)
class FailedText:
    """What stands in the place of a translation where `on_error` is `partial`."""

    pointer: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StoredTranslation:
    """A line of the list of what the service keeps."""

    id: str
    created_at: str
    """UTC, RFC 3339."""
    expires_at: str
    model: str
    source_lang: str
    target_lang: str
    texts: int
    preview: str
    """The first 80 characters."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the service has loaded."""

    name: str
    digest: str
    source_lang: str
    target_lang: str
    alignment_kinds: tuple[str, ...]
    description: Mapping[str, Any]
    """All that the service says of it: shapes, training, metrics."""
