"""What goes over the wire: the bodies of requests and responses, and nothing that acts.

Request models are strict: unknown fields, booleans for numbers, "5" for 5 and NaN are errors.
Bounds that an operator can set are not here but in `app/limits.py`.
"""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.lanes import Lane
from model.alignment import AlignmentKind
from model.hypothesis import SearchOptions
from model.offsets import OffsetEncoding

Level = Literal["word", "piece"]
Form = Literal["dense", "links", "sparse"]

FinishReason = Literal["stop", "length"]

_SEARCH = SearchOptions()


class RequestModel(BaseModel):
    """A part of a request body."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ReplyModel(BaseModel):
    """A part of a response body; only we build it, and every field of it is always there."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


def _text_or_list(value: object) -> str | None:
    if isinstance(value, str):
        return "one"
    return "many" if isinstance(value, list) else None


def _check_store(value: object) -> object:
    # By identity: to a literal type 1 is the same as true.
    if value is True or value is False or value == "best_effort":
        return value
    raise PydanticCustomError("store_type", 'Send true, false or "best_effort".')


Texts = Annotated[
    Annotated[str, Tag("one")] | Annotated[list[str], Field(min_length=1), Tag("many")],
    Discriminator(
        _text_or_list,
        custom_error_type="text_type",
        custom_error_message="Send one string or a list of strings.",
    ),
]
Levels = Annotated[
    Annotated[Level, Tag("one")]
    | Annotated[list[Level], Field(min_length=1, max_length=2), Tag("many")],
    Discriminator(
        _text_or_list,
        custom_error_type="level_type",
        custom_error_message="Send `word`, `piece` or a list of them.",
    ),
]
Store = Annotated[Literal[True, False, "best_effort"], BeforeValidator(_check_store)]
LanguageCode = Annotated[str, Field(min_length=2, max_length=35)]


class DecodingRequest(RequestModel):
    """How the translation is searched for."""

    beam_size: int = Field(default=_SEARCH.beam_size, ge=1)
    """Hypotheses that are followed at the same time; 1 is greedy search."""
    n_best: int = Field(default=_SEARCH.n_best, ge=1)
    """Translations to return: the best one, and `n_best` - 1 `alternatives`."""
    length_penalty: float = Field(default=_SEARCH.length_penalty, ge=0.0, le=5.0)
    """α of Wu et al. (2016): 0 ranks by log-probability, larger values favour longer outputs."""
    coverage_penalty: float = Field(default=_SEARCH.coverage_penalty, ge=0.0, le=5.0)
    """β of Wu et al. (2016): larger values punish source positions that nothing attended to."""
    no_repeat_ngram_size: int = Field(default=_SEARCH.no_repeat_ngram_size, ge=0, le=100)
    """No run of so many target pieces comes again, unless the source repeats itself; 0 lets it."""
    max_length: int | None = Field(default=None, ge=1)
    """Most target pieces of a sentence, its end included; by default twice the source and 20."""

    @model_validator(mode="after")
    def _n_best_fits_the_beam(self) -> "DecodingRequest":
        if self.n_best > self.beam_size:
            raise PydanticCustomError(
                "n_best_above_beam",
                "`n_best` must not be larger than `beam_size`, which is {beam_size}.",
                {"beam_size": self.beam_size},
            )
        return self


class AlignmentRequest(RequestModel):
    """Which alignment to return, and in which form."""

    kind: AlignmentKind = "attention"
    """`attention`: what the decoder weighed to make each token; `head`: what the alignment head of
    a model that has one makes of each token once it is known, the better word alignment."""
    level: Levels = "word"
    """`word`, `piece` (what the network reads and writes), or a list of both."""
    form: Form = "dense"
    """`dense`: the matrix; `sparse`: its larger weights; `links`: pairs of tokens."""
    threshold: float | None = Field(default=None, gt=0.0, le=1.0)
    """`links`: pairs of at least this weight join the best one of each target token (by default
    only the best, of `head` those on which both sides agree by the model's own threshold);
    `sparse`: the smallest weight that is returned (0.01)."""
    precision: int = Field(default=6, ge=1, le=9)
    """Decimals of weights and log-probabilities. Below 6 a row may not add up to 1 ± 1e-4."""
    offset_encoding: OffsetEncoding = "utf-32"
    """Unit of `start` and `end`: code points, UTF-16 units (as in JavaScript) or UTF-8 bytes."""

    @property
    def levels(self) -> list[Level]:
        """The levels as a list, each once."""
        asked = [self.level] if isinstance(self.level, str) else self.level
        return list(dict.fromkeys(asked))


class TranslateRequest(RequestModel):
    """Texts to translate."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "The cat sleeps on the sofa.",
                    "source_lang": "en",
                    "target_lang": "fr",
                    "alignment": {"form": "links"},
                },
                {
                    "text": ["Good evening!", "Where is the station?"],
                    "target_lang": "fr",
                    "decoding": {"beam_size": 8, "n_best": 3},
                    "alignment": {"level": ["word", "piece"], "offset_encoding": "utf-16"},
                    "include": ["segments", "tokens"],
                },
            ]
        }
    )

    text: Texts
    """One text or a list of texts, in the order of the answers."""
    source_lang: LanguageCode | None = None
    """Language of the text, such as `en`; may be left out where only one model fits, or where
    `/v1/languages` says that it is detected."""
    target_lang: LanguageCode | None = None
    """Language to translate into, such as `fr`."""
    model: str | None = Field(default=None, min_length=1, max_length=128)
    """Name of a model of `/v1/models`, instead of or beside the languages."""
    decoding: DecodingRequest = DecodingRequest()
    alignment: AlignmentRequest | None = AlignmentRequest()
    """`null` leaves the alignment out."""
    include: list[Literal["segments", "tokens"]] = Field(default=["segments"], max_length=2)
    """`segments`: spans and scores of the sentences; `tokens`: the pieces with their ids."""
    on_error: Literal["fail", "partial"] = "fail"
    """What a text that cannot be translated does: refuse the request, or have a `problem` in its
    place while the others are translated."""
    store: Store = True
    """Whether to keep the answer: `true` fails where that fails, `"best_effort"` does not."""
    ttl: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Seconds to keep it; may only shorten what the service grants."""
    deadline_ms: int | None = Field(default=None, ge=1, le=600_000)
    """Milliseconds that the caller will wait; may only shorten the deadline of the service."""
    lane: Lane | None = None
    """`interactive`: somebody waits; `bulk`: nobody does, and it gets what is left and a fifth of
    the rest. By default by size."""

    @property
    def texts(self) -> list[str]:
        """The texts as a list, also where one string was sent."""
        return [self.text] if isinstance(self.text, str) else self.text

    @property
    def text_pointers(self) -> list[str]:
        """Where each text stands in the body, as a JSON pointer."""
        if isinstance(self.text, str):
            return ["/text"]
        return [f"/text/{index}" for index in range(len(self.text))]
