"""From texts to translations: sentences in, hypotheses out, and everything put back in its place.

The sentence is what the network translates, the text is what the caller asked for. What stands
between the sentences of a text comes back exactly, and every span indexes the caller's own text and
the returned translation, in code points.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.admission import Load, Reservation
from app.engine import SentenceStep
from app.errors import FieldError, InvalidInputError
from app.models import LoadedModel
from app.segments import SourceSentence, group_words, read_sentences
from app.settings import Settings
from app.supervisor import Supervisor
from model.alignment import Alignment, AlignmentKind, Level, piece_alignment, word_alignment
from model.hypothesis import Hypothesis, SearchOptions
from model.search_events import SearchRequest
from model.tokenizer import Decoded, Tokenizer
from model.words import Token, tokens_at


@dataclass(frozen=True, slots=True)
class SentenceTranslation:
    """One sentence with one of its hypotheses, placed in the text and in its translation."""

    source: SourceSentence
    hypothesis: Hypothesis
    decoded: Decoded
    """The text of the hypothesis; its spans, one for each piece, index that text."""
    target_start: int

    @property
    def target_end(self) -> int:
        """Where it ends in the translation."""
        return self.target_start + len(self.decoded.text)

    @property
    def target_ids(self) -> tuple[int, ...]:
        """The pieces of the hypothesis, without its end."""
        return self.hypothesis.tokens[: len(self.decoded.spans)]

    @property
    def target_pieces(self) -> tuple[Token, ...]:
        """The pieces as parts of the sentence's own translation."""
        return tokens_at(self.decoded.text, self.decoded.spans)

    def alignment(
        self, level: Level, kind: AlignmentKind, threshold: float | None = None
    ) -> Alignment:
        """Its alignment, in coordinates of the whole text and the whole translation.

        `threshold` is where the links of this kind begin, unless a request says otherwise.
        """
        hypothesis = self.hypothesis
        weights = hypothesis.weights if kind == "attention" else hypothesis.head_weights
        assert weights is not None
        pieces = piece_alignment(weights, self.source.pieces, self.target_pieces, kind, threshold)
        if level == "piece":
            aligned = pieces
        else:
            target_words = group_words(self.decoded.text, self.decoded.spans)
            aligned = word_alignment(pieces, self.source.words, target_words)
        return aligned.placed(self.source.start, self.target_start)

    def log_probs(self, level: Level) -> list[float]:
        """Log-probability of each target token of `level`: of a word, the sum of its pieces'."""
        of_pieces = self.hypothesis.token_log_probs
        if level == "piece":
            return list(of_pieces[: len(self.decoded.spans)])
        groups = group_words(self.decoded.text, self.decoded.spans)
        return [sum(of_pieces[piece] for piece in group.pieces) for group in groups]


@dataclass(frozen=True, slots=True)
class TextTranslation:
    """One translation of a text."""

    source: str
    text: str
    sentences: tuple[SentenceTranslation, ...]
    head_threshold: float | None = None
    """Where the links of the alignment head begin; None where it was not asked."""

    def threshold(self, kind: AlignmentKind) -> float | None:
        """Where links of this kind begin, unless a request says otherwise."""
        return self.head_threshold if kind == "head" else None

    @property
    def score(self) -> float:
        """Sum of what the search ranked each sentence by."""
        return sum(sentence.hypothesis.score for sentence in self.sentences)

    @property
    def log_prob(self) -> float:
        """Log-probability of all its pieces."""
        return sum(sentence.hypothesis.log_prob for sentence in self.sentences)

    @property
    def finished(self) -> bool:
        """False if a sentence was cut off at its longest length."""
        return all(sentence.hypothesis.finished for sentence in self.sentences)


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
        sentences = await asyncio.to_thread(self._read, model, good)
        too_long = self._check_tokens(sentences, partial=problems is not None)
        problems = {**(problems or {}), **too_long}
        sentences = {at: [] if at in problems else sentences[at] for at in texts}
        read = time.monotonic()
        requests = [
            self._search_request(model, sentence, options, stream=watch is not None, head=head)
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
        tokenizer = model.checkpoint.target_tokenizer
        placed = [
            [
                replace(translation, head_threshold=model.threshold("head") if head else None)
                for translation in compose_best(
                    texts[at], of_text, of_text_hypotheses, tokenizer, options.n_best
                )
                if at not in problems
            ]
            for (at, of_text), of_text_hypotheses in zip(sentences.items(), hypotheses, strict=True)
        ]
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

    def _read(
        self, model: LoadedModel, texts: Mapping[str, str]
    ) -> dict[str, list[SourceSentence]]:
        tokenizer = model.checkpoint.source_tokenizer
        return {
            at: read_sentences(
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

    def _search_request(
        self,
        model: LoadedModel,
        sentence: SourceSentence,
        options: SearchOptions,
        *,
        stream: bool,
        head: bool,
    ) -> SearchRequest:
        source = (*sentence.encoded.ids, model.checkpoint.source_tokenizer.eos_id)
        longest = min(options.longest_target(len(source)), self._settings.max_output_tokens)
        limited = replace(options, max_length=longest)
        return SearchRequest(source, limited, stream=stream, head=head)


def compose_best(
    text: str,
    sentences: Sequence[SourceSentence],
    hypotheses: Sequence[Sequence[Hypothesis]],
    tokenizer: Tokenizer,
    n_best: int,
) -> list[TextTranslation]:
    """The `n_best` best translations of a text from the n-best lists of its sentences.

    A text's score is the sum of its sentences', so the best combinations of a text and one more
    sentence are among the best combinations of the text. Cut-off hypotheses stand last, as in the
    search.
    """
    beam: list[tuple[Hypothesis, ...]] = [()]
    for of_sentence in hypotheses:
        extended = [(*chosen, hypothesis) for chosen in beam for hypothesis in of_sentence]
        beam = sorted(extended, key=_rank)[:n_best]
    return [compose(text, sentences, chosen, tokenizer) for chosen in beam]


def _rank(chosen: Sequence[Hypothesis]) -> tuple[int, float]:
    return (
        sum(not hypothesis.finished for hypothesis in chosen),
        -sum(hypothesis.score for hypothesis in chosen),
    )


def compose(
    text: str,
    sentences: Sequence[SourceSentence],
    hypotheses: Sequence[Hypothesis],
    tokenizer: Tokenizer,
) -> TextTranslation:
    """Put one hypothesis for each sentence in its place; between them the text stays as it is."""
    parts: list[str] = []
    placed: list[SentenceTranslation] = []
    copied = length = 0
    for sentence, hypothesis in zip(sentences, hypotheses, strict=True):
        ids = hypothesis.tokens[:-1] if hypothesis.finished else hypothesis.tokens
        decoded = tokenizer.decode_with_spans(ids)
        gap = text[copied : sentence.start]
        placed.append(SentenceTranslation(sentence, hypothesis, decoded, length + len(gap)))
        parts += [gap, decoded.text]
        length += len(gap) + len(decoded.text)
        copied = sentence.end
    parts.append(text[copied:])
    return TextTranslation(text, "".join(parts), tuple(placed))
