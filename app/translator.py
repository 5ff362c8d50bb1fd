"""From texts to translations: read into sentences, decoded side by side, and put together again.

The sentence is what the network translates, the text is what the caller asked for.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from app.admission import Load, Reservation
from app.composition import TextTranslation, compose_best
from app.engine import SentenceStep
from app.errors import FieldError, InvalidInputError
from app.models import LoadedModel
from app.segments import SourceSentence, translatable_sentences
from app.settings import Settings
from app.supervisor import Supervisor
from app.tracing import record_span
from app.turns import take_turn
from model.hypothesis import Hypothesis, SearchOptions
from model.search_events import SearchRequest

MOST_READ_AT_ONCE = 1_000
"""Characters of a request that are read on the event loop."""

MOST_COMPOSED_AT_ONCE = 16
"""Sentences of a request that are put together there."""


@dataclass(frozen=True, slots=True)
class Translations:
    """What came of one request."""

    texts: list[list[TextTranslation]]
    """For each text its n-best translations, best first; none for a text that has a problem."""
    source_tokens: int
    target_tokens: int
    timings: Mapping[str, float]
    """Milliseconds of each stage."""
    problems: Mapping[str, FieldError] = field(default_factory=dict)
    """Texts that could not be translated, by where they stand in the request."""


class Watch(Protocol):
    """Who wants to see a request being translated; called on the event loop."""

    def begin(self, model: LoadedModel, sentences: Sequence[Sequence[SourceSentence]]) -> None:
        """The texts are read, and these are their sentences."""
        ...

    def step(self, number: int, step: SentenceStep) -> None:
        """A sentence, counted through all texts, has made a step."""
        ...


class Translator:
    """Translates texts with any of the loaded models."""

    def __init__(self, supervisor: Supervisor, settings: Settings) -> None:
        self._supervisor = supervisor
        self._settings = settings

    async def translate(
        self,
        model: LoadedModel,
        texts: Mapping[str, str],
        options: SearchOptions,
        place: Reservation,
        watch: Watch | None = None,
        *,
        head: bool = False,
        problems: Mapping[str, FieldError] | None = None,
    ) -> Translations:
        """Translate each of `texts`, which are keyed by where they stand in the request.

        Texts with `problems` are left out, and others may join them; without any (None) one text
        of too many tokens refuses all. All sentences are decoded side by side, in the place that
        the request holds; `watch` is told of every step. With `head` every hypothesis carries the
        alignment head's weights. Raises InvalidInputError for too many tokens, and whatever
        `Scheduler.submit` raises.
        """
        began = time.monotonic()
        good = {at: text for at, text in texts.items() if at not in (problems or {})}
        is_short = sum(map(len, good.values())) <= MOST_READ_AT_ONCE
        sentences = await take_turn(lambda: self._read(model, good), is_short=is_short)
        too_long = self._check_tokens(sentences, partial=problems is not None)
        problems = {**(problems or {}), **too_long}
        sentences = {at: [] if at in problems else sentences[at] for at in texts}
        read = time.monotonic()
        record_span("read", began, read)
        requests = [
            search_request(
                model,
                sentence,
                options,
                self._settings.max_output_tokens,
                stream=watch is not None,
                head=head,
            )
            for of_text in sentences.values()
            for sentence in of_text
        ]
        place.read(Load(len(requests), sum(len(request.source) for request in requests)))
        submitted = self._supervisor.scheduler.submit(
            model.identity,
            requests,
            place.deadline,
            caller=place.caller,
            lane=place.lane,
            on_step=watch.step if watch else None,
        )
        if watch is not None:
            watch.begin(model, list(sentences.values()))
        found = iter(await submitted)
        decoded = time.monotonic()
        hypotheses = [[next(found) for _ in of_text] for of_text in sentences.values()]
        compose = partial(self._compose, model, texts, sentences, hypotheses, options, head=head)
        composed = await take_turn(compose, is_short=len(requests) <= MOST_COMPOSED_AT_ONCE)
        placed = [[] if at in problems else best for at, best in zip(texts, composed, strict=True)]
        record_span("compose", decoded, time.monotonic())
        return Translations(
            placed,
            source_tokens=sum(len(request.source) for request in requests),
            target_tokens=sum(
                len(sentence.hypothesis.tokens)
                for of_text in placed
                for best in of_text[:1]
                for sentence in best.sentences
            ),
            timings={
                "read": 1000 * (read - began),
                "decode": 1000 * (decoded - read),
                "compose": 1000 * (time.monotonic() - decoded),
            },
            problems=problems,
        )

    def _compose(
        self,
        model: LoadedModel,
        texts: Mapping[str, str],
        sentences: Mapping[str, Sequence[SourceSentence]],
        hypotheses: Sequence[Sequence[Sequence[Hypothesis]]],
        options: SearchOptions,
        *,
        head: bool,
    ) -> list[list[TextTranslation]]:
        """The n-best translations of each text."""
        tokenizer = model.checkpoint.target_tokenizer
        threshold = model.threshold("head") if head else None
        return [
            [
                replace(translation, head_threshold=threshold)
                for translation in compose_best(
                    texts[at], sentences[at], of_text, tokenizer, options.n_best
                )
            ]
            for at, of_text in zip(texts, hypotheses, strict=True)
        ]

    def _read(
        self, model: LoadedModel, texts: Mapping[str, str]
    ) -> dict[str, list[SourceSentence]]:
        tokenizer = model.checkpoint.source_tokenizer
        return {
            at: translatable_sentences(
                text, model.source_language, tokenizer, self._settings.max_sentence_tokens
            )
            for at, text in texts.items()
        }

    def _check_tokens(
        self, sentences: Mapping[str, Sequence[SourceSentence]], *, partial: bool
    ) -> dict[str, FieldError]:
        """Texts of too many tokens; raises InvalidInputError where they stand in the way of all."""
        counts = {
            pointer: sum(len(one.encoded.ids) + 1 for one in of_text)
            for pointer, of_text in sentences.items()
        }
        limit = self._settings.max_text_tokens
        errors = {
            pointer: FieldError(
                pointer,
                "text_too_long",
                f"A text may have {limit} pieces; this one has {count}. Send it in parts.",
            )
            for pointer, count in counts.items()
            if count > limit
        }
        if errors and not (partial and len(errors) < len(sentences)):
            raise InvalidInputError.of(list(errors.values())[:20])
        total = sum(count for pointer, count in counts.items() if pointer not in errors)
        most = self._settings.max_request_tokens
        if total > most:
            message = f"The texts of a request may have {most} pieces; these have {total}."
            raise InvalidInputError.of([FieldError("/text", "text_too_long", message)])
        return errors


def search_request(
    model: LoadedModel,
    sentence: SourceSentence,
    options: SearchOptions,
    most: int,
    *,
    stream: bool = False,
    head: bool = False,
) -> SearchRequest:
    """What the search is asked of a sentence whose target may have `most` pieces."""
    source = (*sentence.encoded.ids, model.checkpoint.source_tokenizer.eos_id)
    limited = replace(options, max_length=min(options.longest_target(len(source)), most))
    return SearchRequest(source, limited, stream=stream, head=head)
