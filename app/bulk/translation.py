"""Lines to translations, many side by side; a pure function of the lines, the model and options."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from app.bulk.lines import Line, Problem
from app.composition import TextTranslation, compose
from app.models import LoadedModel
from app.segments import SourceSentence, translatable_sentences
from app.settings import Settings
from app.supervisor import Network
from app.translator import search_request
from model.alignment import AlignmentKind
from model.hypothesis import Hypothesis, SearchOptions
from model.search import BeamSearch
from model.search_events import Finished

ROWS = 320
"""Hypotheses side by side where `max_rows` is less: nobody waits for one of many lines."""

JOINING_SHARE = 4
"""New sentences join when this part (1/4) of the table is free: encoding them is one batch."""


@dataclass(frozen=True, slots=True, eq=False)
class TranslatedLine:
    """A line with its translation, or with why there is none."""

    line: Line
    translation: TextTranslation | None
    problem: Problem | None


class LineTranslator:
    """Translates lines with one model, as `POST /v1/translate` would each of them."""

    def __init__(
        self,
        model: LoadedModel,
        network: Network,
        settings: Settings,
        options: SearchOptions,
        kind: AlignmentKind = "attention",
    ) -> None:
        self.model = model
        self._network = network
        self._settings = settings
        self._options = options
        self._head = kind == "head"

    def translate(
        self, lines: Sequence[Line], on_done: Callable[[Line], None] = lambda _: None
    ) -> list[TranslatedLine]:
        """The lines in their order; `on_done` hears of each as it gets ready, in any order."""
        drafts = [self._read(line) for line in lines]
        for draft in drafts:
            if not draft.missing:
                on_done(draft.line)
        for draft in self._search(drafts):
            on_done(draft.line)
        return [self._composed(draft) for draft in drafts]

    def _read(self, line: Line) -> "_Draft":
        if line.problem is not None:
            return _Draft(line, [], line.problem)
        sentences = translatable_sentences(
            line.text,
            self.model.source_language,
            self.model.checkpoint.source_tokenizer,
            self._settings.max_sentence_tokens,
        )
        if sum(len(one.encoded.ids) + 1 for one in sentences) > self._settings.max_text_tokens:
            return _Draft(line, [], "text_too_long")
        return _Draft(line, sentences, None)

    def _search(self, drafts: Sequence["_Draft"]) -> Iterator["_Draft"]:
        """Fill in the hypotheses; gives each draft when its last one is there.

        Long sentences go first and like beside like, so that the table stays full and narrow.
        """
        waiting = deque(
            sorted(
                ((draft, index) for draft in drafts for index in range(len(draft.sentences))),
                key=lambda place: -len(place[0].sentences[place[1]].encoded.ids),
            )
        )
        table = BeamSearch(self._network)
        places: dict[int, tuple[_Draft, int]] = {}
        most = max(1, max(self._settings.max_rows, ROWS) // self._options.beam_size)
        joining = max(1, most // JOINING_SHARE)
        while waiting or len(table):
            while waiting and len(table) <= most - joining:
                group = [waiting.popleft() for _ in range(min(joining, len(waiting)))]
                requests = [
                    search_request(
                        self.model,
                        draft.sentences[index],
                        self._options,
                        self._settings.max_output_tokens,
                        head=self._head,
                    )
                    for draft, index in group
                ]
                places.update(zip(table.admit(requests), group, strict=True))
            for event in table.step():
                draft, index = places.pop(event.slot)
                if isinstance(event, Finished):
                    draft.hypotheses[index] = event.hypotheses[0]
                else:
                    draft.problem = "inference_failed"
                draft.missing -= 1
                if draft.missing == 0:
                    yield draft

    def _composed(self, draft: "_Draft") -> TranslatedLine:
        if draft.problem is not None:
            return TranslatedLine(draft.line, None, draft.problem)
        hypotheses = [draft.hypotheses[index] for index in range(len(draft.sentences))]
        tokenizer = self.model.checkpoint.target_tokenizer
        composed = compose(draft.line.text, draft.sentences, hypotheses, tokenizer)
        threshold = self.model.threshold("head") if self._head else None
        return TranslatedLine(draft.line, replace(composed, head_threshold=threshold), None)


@dataclass(slots=True, eq=False)
class _Draft:
    """A line on its way."""

    line: Line
    sentences: list[SourceSentence]
    problem: Problem | None
    hypotheses: dict[int, Hypothesis] = field(default_factory=dict)
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = len(self.sentences)
