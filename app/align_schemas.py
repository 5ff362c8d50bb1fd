"""What goes over the wire when pairs of texts are aligned."""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.reply_schemas import AlignmentReply, ModelIdentity, SegmentReply, Usage
from app.schemas import AlignmentRequest, LanguageCode, ReplyModel, RequestModel, Texts


class AlignRequest(RequestModel):
    """Texts with translations that somebody else made, or changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "The cat sleeps on the sofa.",
                    "target": "Sur le canapé dort le chat.",
                    "source_lang": "en",
                    "target_lang": "fr",
                    "alignment": {"form": "links"},
                }
            ]
        }
    )

    source: Texts
    """One text or a list of texts."""
    target: Texts
    """The translation of each of them: one where `source` is one, else a list as long."""
    source_lang: LanguageCode | None = None
    """Language of `source`; may be left out where only one model fits, or it can be detected."""
    target_lang: LanguageCode | None = None
    """Language of `target`."""
    model: str | None = Field(default=None, min_length=1, max_length=128)
    """Name of a model of `/v1/models`, instead of or beside the languages."""
    split: bool = True
    """Align sentence by sentence where both sides have equally many; `false` never splits."""
    alignment: AlignmentRequest | None = AlignmentRequest()
    """`null` leaves the alignment out: scores alone."""
    both_directions: bool = False
    """Link words where this model's alignment head and that of the model of the opposite direction
    agree: fewer errors, for twice the work. Takes `alignment` with `kind` `head` and `form`
    `links`, between words and without a threshold."""
    include: list[Literal["segments", "tokens"]] = Field(default=["segments"], max_length=2)
    """`segments`: spans and scores of the sentences; `tokens`: the pieces with their ids."""
    deadline_ms: int | None = Field(default=None, ge=1, le=600_000)
    """Milliseconds that the caller will wait; may only shorten the deadline of the service."""

    @model_validator(mode="after")
    def _sides_have_the_same_shape(self) -> "AlignRequest":
        if isinstance(self.source, str) != isinstance(self.target, str) or len(self.sources) != len(
            self.targets
        ):
            raise PydanticCustomError(
                "pairs_differ",
                "`source` and `target` must be two strings, or two lists of the same length.",
            )
        return self

    @model_validator(mode="after")
    def _both_directions_make_links_of_words(self) -> "AlignRequest":
        asked = self.alignment
        if self.both_directions and (
            asked is None
            or (asked.kind, asked.form, asked.levels) != ("head", "links", ["word"])
            or asked.threshold is not None
        ):
            raise PydanticCustomError(
                "both_directions_links_words",
                "`both_directions` needs `alignment` with `kind` `head`, `form` `links`, `level` "
                "`word` and no `threshold`.",
            )
        return self

    @property
    def sources(self) -> list[str]:
        """The source texts as a list, also where one string was sent."""
        return [self.source] if isinstance(self.source, str) else self.source

    @property
    def targets(self) -> list[str]:
        """The target texts as a list, also where one string was sent."""
        return [self.target] if isinstance(self.target, str) else self.target

    def pointers(self, side: Literal["source", "target"]) -> list[str]:
        """Where each text of one side stands in the body, as a JSON pointer."""
        if isinstance(self.source, str):
            return [f"/{side}"]
        return [f"/{side}/{index}" for index in range(len(self.sources))]


class PairReply(ReplyModel):
    """How a model sees one pair."""

    source_lang: str
    source_lang_detected: bool = False
    """Whether the request left it out and it was told by the text."""
    target_lang: str
    score: float
    """What a search would rank the target by (length penalty 1), summed over the segments."""
    log_prob: float
    """Natural logarithm of the probability of all target pieces, ends of sentences included."""
    perplexity: float
    """exp(-`log_prob` / number of these pieces): 1 is certainty, lower is more expected."""
    segments: list[SegmentReply] | None
    alignment: AlignmentReply | None


class AlignReply(ReplyModel):
    """The pairs, in their order."""

    model: ModelIdentity
    opposite_model: ModelIdentity | None = None
    """The model of the opposite direction, where `both_directions` asked for it."""
    pairs: list[PairReply]
    usage: Usage
