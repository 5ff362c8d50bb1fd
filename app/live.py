"""A translation as it is made: what the scheduler tells of each step, as events for one reader.

Nothing is queued. For each sentence the newest step is kept until the reader takes it, and what the
reader has not seen yet is told then: a reader who is slow gets more at a time, one who never reads
makes nothing grow.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from app.engine import SentenceStep
from app.models import LoadedModel
from app.reply_schemas import Piece, Span
from app.schemas import ReplyModel, TranslateRequest
from app.segments import SourceSentence
from app.spoken import Spoken, speak
from app.stream_schemas import SegmentEndEvent, SegmentEvent, TokenEvent
from model.offsets import offset_converter

LOG_PROB_DECIMALS = 6

Answer = TypeVar("Answer")


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    data: ReplyModel


class Said(NamedTuple):
    """What a reader was told of one piece."""

    id: int
    text: str
    span: tuple[int, int]
    stable: bool


@dataclass(slots=True)
class _Sentence:
    """One sentence, and what its reader knows of it."""

    translation: int
    segment: int
    source: SourceSentence
    said: list[Said] = field(default_factory=list)


class LiveTranslation(Generic[Answer]):
    """Watches one request; its methods belong to the event loop."""

    def __init__(self, request: TranslateRequest) -> None:
        asked = request.alignment
        self._texts = request.texts
        self._encoding = asked.offset_encoding if asked else "utf-32"
        self._precision = asked.precision if asked else None
        self._is_head = asked is not None and asked.kind == "head"
        self.model: LoadedModel | None = None
        """What translates; None until the texts are read."""
        self._sentences: list[_Sentence] = []
        self._newest: dict[int, SentenceStep] = {}
        self._is_begun = False
        self._changed = asyncio.Event()

    def begin(self, model: LoadedModel, sentences: Sequence[Sequence[SourceSentence]]) -> None:
        """The texts are read: these are their sentences, in the order of their numbers."""
        self.model = model
        self._sentences = [
            _Sentence(translation, segment, source)
            for translation, of_text in enumerate(sentences)
            for segment, source in enumerate(of_text)
        ]
        self._changed.set()

    def step(self, number: int, step: SentenceStep) -> None:
        """A sentence has made a step."""
        self._newest[number] = step
        self._changed.set()

    async def follow(
        self, work: Coroutine[None, None, Answer]
    ) -> AsyncGenerator[Event | Answer, None]:
        """Do `work`, which tells this object of its steps; gives events, its answer as the last.

        Raises whatever `work` raises. Closing the iterator cancels it.
        """
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._changed.set())
        try:
            while not task.done():
                await self._changed.wait()
                self._changed.clear()
                if not task.done():
                    for event in self._news():
                        yield event
            answer = task.result()
            for event in self._news():
                yield event
            yield answer
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _news(self) -> list[Event]:
        """What the reader does not know yet."""
        model = self.model
        if model is None:
            return []
        events = [] if self._is_begun else list(self._beginnings())
        self._is_begun = True
        newest, self._newest = self._newest, {}
        for number, step in newest.items():
            events += self._news_of(self._sentences[number], step, model)
        return events

    def _beginnings(self) -> Iterator[Event]:
        converters = [offset_converter(text, self._encoding) for text in self._texts]
        for one in self._sentences:
            convert, start = converters[one.translation], one.source.start
            encoded = one.source.encoded
            pieces = [
                Piece(
                    id=identity,
                    piece=piece,
                    start=convert(start + token.start),
                    end=convert(start + token.end),
                )
                for identity, piece, token in zip(
                    encoded.ids, encoded.pieces, one.source.pieces, strict=True
                )
            ]
            span = Span(start=convert(start), end=convert(one.source.end))
            yield Event(
                "segment",
                SegmentEvent(
                    translation=one.translation,
                    segment=one.segment,
                    source=span,
                    source_pieces=pieces,
                ),
            )

    def _news_of(self, one: _Sentence, step: SentenceStep, model: LoadedModel) -> Iterator[Event]:
        tokenizer = model.checkpoint.target_tokenizer
        ids = step.best.tokens[:-1] if step.best.finished else step.best.tokens
        spoken = speak(tokenizer, ids, is_whole=step.is_last)
        stable = min(step.stable, len(ids) - spoken.held)
        if self._is_head and not step.is_last:
            # The alignment head looks at the sentence as a whole once it is complete.
            stable = 0
        saying = [
            Said(*piece, index < stable)
            for index, piece in enumerate(zip(ids, spoken.texts, spoken.spans, strict=True))
        ]
        common = _common(one.said, saying)
        news = [
            index for index, said in enumerate(saying) if index >= common or said != one.said[index]
        ]
        one.said = saying
        convert = offset_converter("".join(spoken.texts), self._encoding)
        pieces = tokenizer.pieces(ids)
        for index in news:
            said = saying[index]
            weights, eos = self._alignment(step, index, model)
            token = TokenEvent(
                translation=one.translation,
                segment=one.segment,
                index=index,
                id=said.id,
                piece=pieces[index],
                text=said.text,
                start=convert(said.span[0]),
                end=convert(said.span[1]),
                log_prob=round(step.best.token_log_probs[index], LOG_PROB_DECIMALS),
                weights=weights,
                eos=eos,
                stable=said.stable,
            )
            yield Event("token", token)
        if step.is_last:
            yield Event("segment_end", _ending(one, step, spoken))

    def _alignment(
        self, step: SentenceStep, index: int, model: LoadedModel
    ) -> tuple[list[float] | None, float | None]:
        if self._precision is None or not model.has_attention:
            return None, None
        weights = step.best.head_weights if self._is_head else step.best.weights
        assert weights is not None
        row = [round(weight, self._precision) for weight in weights[index].tolist()]
        return row[:-1], row[-1]


def _common(before: Sequence[Said], now: Sequence[Said]) -> int:
    """Leading pieces that belong to the same hypothesis: from the first other piece on, attention
    and probability are others too."""
    common = 0
    for old, new in zip(before, now, strict=False):
        if old.id != new.id:
            break
        common += 1
    return common


def _ending(one: _Sentence, step: SentenceStep, spoken: Spoken) -> SegmentEndEvent:
    return SegmentEndEvent(
        translation=one.translation,
        segment=one.segment,
        text="".join(spoken.texts),
        pieces=len(spoken.texts),
        score=round(step.best.score, LOG_PROB_DECIMALS),
        log_prob=round(step.best.log_prob, LOG_PROB_DECIMALS),
        finish_reason="stop" if step.best.finished else "length",
    )
