"""From pairs of texts to alignments: the model is led through a target that is already there.

The network reads both texts as their tokenizers cut them. A search may have produced the same
target by other pieces; its matrix is then another one, since it belongs to pieces.
"""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from app.admission import Load, Reservation
from app.composition import SentenceTranslation, TextTranslation
from app.errors import FieldError, InvalidInputError
from app.models import LoadedModel
from app.segments import SourceSentence, read_sentences
from app.settings import Settings
from app.supervisor import Supervisor
from app.translator import Translations
from model.alignment import regrouped
from model.hypothesis import Hypothesis, SearchOptions
from model.search_events import SearchRequest
from model.tokenizer import Decoded, Tokenizer
from model.words import Token

WHOLE = 2**31
"""More pieces than any sentence has: where a target ends, its source must end too, so neither is
parted for its length."""

FORCED = SearchOptions(beam_size=1)

Submitted = Coroutine[None, None, list[list[Hypothesis]]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, and where they stand in the request (JSON pointers)."""

    source: str
    target: str
    source_pointer: str
    target_pointer: str

    def turned(self) -> "Pair":
        """The target as the source."""
        return Pair(self.target, self.source, self.target_pointer, self.source_pointer)


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
        opposite: LoadedModel | None = None,
    ) -> Translations:
        """Every pair as if its target were the only translation that the model found.

        With `head` they carry the alignment head's weights, and with `opposite`, a model that
        translates the other way, those of its head too; pieces of both models are counted. All
        sentences run side by side with those that are being translated. Raises InvalidInputError
        for a side of too many pieces, and whatever `Scheduler.submit` raises.
        """
        began = time.monotonic()
        read = await asyncio.to_thread(self._read, model, pairs, split)
        turned: list[list[SentencePair]] = []
        if opposite is not None:
            turned = await asyncio.to_thread(self._turned, opposite, pairs, read)
        requests = _search_requests(model, read, head=head)
        opposed = [] if opposite is None else _search_requests(opposite, turned, head=True)
        every = [*requests, *opposed]
        read_at = time.monotonic()
        place.read(Load(len(every), sum(len(request.source) for request in every)))
        jobs: list[Submitted] = [self._submit(model, requests, place)]
        threshold = model.threshold("head") if head else None
        if opposite is not None:
            jobs.append(self._submit(opposite, opposed, place))
            threshold = _mean(threshold, opposite.threshold("head"))
        found, *others = map(iter, await _all(jobs))
        aligned = [
            _placed(pair, sentences, [next(found)[0] for _ in sentences], threshold)
            for pair, sentences in zip(pairs, read, strict=True)
        ]
        for answers in others:
            hypotheses = [[next(answers)[0] for _ in sentences] for sentences in turned]
            aligned = await asyncio.to_thread(_opposed, aligned, turned, hypotheses)
        return Translations(
            [[pair] for pair in aligned],
            source_tokens=sum(len(request.source) for request in every),
            target_tokens=sum(len(request.target or ()) for request in every),
            timings={
                "read": 1000 * (read_at - began),
                "decode": 1000 * (time.monotonic() - read_at),
            },
        )

    def _submit(
        self, model: LoadedModel, requests: Sequence[SearchRequest], place: Reservation
    ) -> "Submitted":
        return self._supervisor.scheduler.submit(
            model.identity, requests, place.deadline, caller=place.caller, lane=place.lane
        )

    def _turned(
        self, opposite: LoadedModel, pairs: Sequence[Pair], read: Sequence[Sequence[SentencePair]]
    ) -> list[list[SentencePair]]:
        """The same sentences as the opposite model reads them; too long ones are refused too."""
        turned = [[_turned(sentence, opposite) for sentence in sentences] for sentences in read]
        errors = [
            error
            for pair, sentences in zip(pairs, turned, strict=True)
            for error in self._errors(pair.turned(), sentences)
        ]
        if errors:
            raise InvalidInputError.of(errors[:20])
        return turned

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


def _turned(pair: SentencePair, opposite: LoadedModel) -> SentencePair:
    """The pair as a model of the opposite direction reads it."""
    reading = opposite.checkpoint.source_tokenizer, opposite.checkpoint.target_tokenizer
    sides = (
        SourceSentence(side.start, side.text, tokenizer.encode_with_spans(side.text), side.split)
        for side, tokenizer in zip((pair.target, pair.source), reading, strict=True)
    )
    return SentencePair(*sides)


def _mean(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else (one + other) / 2


def _search_requests(
    model: LoadedModel, read: Sequence[Sequence[SentencePair]], *, head: bool
) -> list[SearchRequest]:
    return [
        _search_request(model, sentence, head=head) for sentences in read for sentence in sentences
    ]


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


async def _all(jobs: Sequence[Submitted]) -> list[list[list[Hypothesis]]]:
    """What all of them give; when one fails the others are given up."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _opposed(
    pairs: Sequence[TextTranslation],
    turned: Sequence[Sequence[SentencePair]],
    hypotheses: Sequence[Sequence[Hypothesis]],
) -> list[TextTranslation]:
    """The pairs with what a model of the opposite direction weighed in each sentence."""
    return [
        replace(
            pair,
            sentences=tuple(
                replace(sentence, opposite=_opposite_weights(sentence, other, hypothesis))
                for sentence, other, hypothesis in zip(
                    pair.sentences, sentences, of_pair, strict=True
                )
            ),
        )
        for pair, sentences, of_pair in zip(pairs, turned, hypotheses, strict=True)
    ]


def _opposite_weights(
    sentence: SentenceTranslation, turned: SentencePair, hypothesis: Hypothesis
) -> Float[Tensor, "S T"]:
    """Its weights between the words of `sentence`; tokenizers may have joined other words."""
    read = SentenceTranslation(
        turned.source,
        hypothesis,
        Decoded(turned.target.text, turned.target.encoded.spans),
        turned.target.start,
    )
    words, others = sentence.alignment("word", "head"), read.alignment("word", "head")
    return regrouped(
        others.weights,
        _touching(words.source, others.target),
        _touching(words.target, others.source),
    )


def _touching(tokens: Sequence[Token], others: Sequence[Token]) -> list[range]:
    """Which of `others`, in the order of the text, share a character with each of `tokens`."""
    starts, ends = [other.start for other in others], [other.end for other in others]
    return [
        range(bisect_right(ends, token.start), bisect_left(starts, token.end)) for token in tokens
    ]
