"""From pairs of texts to alignments: the model is led through a target that is already there.

The network reads both texts as their tokenizers cut them. A search may have produced the same
target by other pieces; its matrix is then another one, since it belongs to pieces.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.admission import Load, Reservation
from app.composition import SentenceTranslation, TextTranslation
from app.errors import FieldError, InvalidInputError
from app.models import LoadedModel
from app.segments import SourceSentence, read_sentences
from app.settings import Settings
from app.supervisor import Supervisor
from app.translator import Translations
from model.hypothesis import Hypothesis, SearchOptions
from model.search_events import SearchRequest
from model.tokenizer import Decoded, Tokenizer

WHOLE = 2**31
"""More pieces than any sentence has: where a target ends, its source must end too, so neither is
parted for its length."""

FORCED = SearchOptions(beam_size=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, and where they stand in the request (JSON pointers)."""

    source: str
    target: str
    source_pointer: str
    target_pointer: str


@dataclass(frozen=True, slots=True)
class SentencePair:
    """A sentence of the source and what it became in the target; spans index their own texts."""

    source: SourceSentence
    target: SourceSentence


class Aligner:
    """Aligns pairs of texts with any of the loaded models."""

    def __init__(self, supervisor: Supervisor, settings: Settings) -> None:
        self._supervisor = supervisor
        self._settings = settings

    async def align(
        self,
        model: LoadedModel,
        pairs: Sequence[Pair],
        place: Reservation,
        *,
        split: bool,
        head: bool = False,
    ) -> Translations:
        """Every pair as if its target were the only translation that the model found.

        With `head` they carry the alignment head's weights. All sentences run side by side with
        those that are being translated. Raises InvalidInputError for a side of too many pieces,
        and whatever `Scheduler.submit` raises.
        """
        began = time.monotonic()
        read = await asyncio.to_thread(self._read, model, pairs, split)
        requests = [
            _search_request(model, sentence, head=head)
            for sentences in read
            for sentence in sentences
        ]
        read_at = time.monotonic()
        place.read(Load(len(requests), sum(len(request.source) for request in requests)))
        submitted = self._supervisor.scheduler.submit(
            model.identity, requests, place.deadline, caller=place.caller, lane=place.lane
        )
        found = iter(await submitted)
        threshold = model.threshold("head") if head else None
        return Translations(
            [
                [_placed(pair, sentences, [next(found)[0] for _ in sentences], threshold)]
                for pair, sentences in zip(pairs, read, strict=True)
            ],
            source_tokens=sum(len(request.source) for request in requests),
            target_tokens=sum(len(request.target or ()) for request in requests),
            timings={
                "read": 1000 * (read_at - began),
                "decode": 1000 * (time.monotonic() - read_at),
            },
        )

    def _read(
        self, model: LoadedModel, pairs: Sequence[Pair], split: bool
    ) -> list[list[SentencePair]]:
        read, errors = [], []
        for pair in pairs:
            sentences = read_pair(pair, model, split=split)
            read.append(sentences)
            errors += list(self._errors(pair, sentences))
        total = sum(
            _pieces(one)
            for sentences in read
            for pair in sentences
            for one in (pair.source, pair.target)
        )
        most = self._settings.max_request_tokens
        if total > most and not errors:
            message = f"The texts of a request may have {most} pieces; these have {total}."
            errors = [FieldError("/source", "text_too_long", message)]
        if errors:
            raise InvalidInputError.of(errors[:20])
        return read

    def _errors(self, pair: Pair, sentences: Sequence[SentencePair]) -> Iterator[FieldError]:
        """What makes a pair too long, at most once a side."""
        sides = (
            (pair.source_pointer, [one.source for one in sentences], "max_sentence_tokens"),
            (pair.target_pointer, [one.target for one in sentences], "max_output_tokens"),
        )
        for pointer, side, setting in sides:
            if not side:
                yield FieldError(pointer, "empty_text", "The text has nothing to align.")
                continue
            count, most = max(map(_pieces, side)), int(getattr(self._settings, setting))
            if count > most:
                yield FieldError(
                    pointer,
                    "text_too_long",
                    f"A sentence may have {most} pieces here and one has {count}. Where the sides "
                    "have different numbers of sentences a pair counts as one sentence: send "
                    "its sentences as pairs of their own.",
                )


def read_pair(pair: Pair, model: LoadedModel, *, split: bool) -> list[SentencePair]:
    """The sentences of both sides in pairs; one pair where they are not equally many.

    Empty where a side has no pieces at all.
    """
    reading = model.checkpoint.source_tokenizer, model.checkpoint.target_tokenizer
    sources = read_sentences(pair.source, model.source_language, reading[0], WHOLE)
    targets = read_sentences(pair.target, model.target_language, reading[1], WHOLE)
    if not sources or not targets:
        return []
    if not split or len(sources) != len(targets):
        sources, targets = [_whole(pair.source, reading[0])], [_whole(pair.target, reading[1])]
    return [SentencePair(source, target) for source, target in zip(sources, targets, strict=True)]


def _whole(text: str, tokenizer: Tokenizer) -> SourceSentence:
    start = len(text) - len(text.lstrip())
    part = text.strip()
    return SourceSentence(start, part, tokenizer.encode_with_spans(part), split=False)


def _pieces(sentence: SourceSentence) -> int:
    return len(sentence.encoded.ids) + 1


def _search_request(model: LoadedModel, pair: SentencePair, *, head: bool) -> SearchRequest:
    source_end = model.checkpoint.source_tokenizer.eos_id
    target_end = model.checkpoint.target_tokenizer.eos_id
    return SearchRequest(
        (*pair.source.encoded.ids, source_end),
        FORCED,
        target=(*pair.target.encoded.ids, target_end),
        head=head,
    )


def _placed(
    pair: Pair,
    sentences: Sequence[SentencePair],
    hypotheses: Sequence[Hypothesis],
    head_threshold: float | None,
) -> TextTranslation:
    return TextTranslation(
        pair.source,
        pair.target,
        tuple(
            SentenceTranslation(
                sentence.source,
                hypothesis,
                Decoded(sentence.target.text, sentence.target.encoded.spans),
                sentence.target.start,
            )
            for sentence, hypothesis in zip(sentences, hypotheses, strict=True)
        ),
        head_threshold,
    )
