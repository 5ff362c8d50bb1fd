"""All that a running service consists of, started and stopped as one."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import torch

from app.admission import Admission
from app.align_schemas import AlignRequest
from app.aligner import Aligner, Pair
from app.catalog import Catalog, MakeNetwork, fast_network, make_networks
from app.detection import with_source_language
from app.door import LOCAL, Door
from app.errors import FieldError, InvalidInputError, NotReadyError
from app.form_writer import FormWriter
from app.formats.aligned import AlignedText, FormatOptions
from app.formats.table import Format
from app.lifecycle import Lifecycle
from app.limits import check_limits, check_pair_limits
from app.metrics import Metrics
from app.models import LoadedModel, LoadedModels
from app.pace import Pace
from app.rendering import aligned_text, asked_kind, render, render_pairs
from app.reply_schemas import RecordReply
from app.request_log import Facts
from app.schemas import AlignmentRequest, TranslateRequest
from app.settings import Settings
from app.supervisor import Supervisor
from app.tracing import record_span
from app.translator import Translations, Translator, Watch
from app.turns import take_turn
from model.hypothesis import SearchOptions

MOST_RENDERED_AT_ONCE = 128
"""Pieces of source and translations for which a body is written on the event loop."""


@dataclass(frozen=True, slots=True)
class TranslateAnswer:
    """A response body as JSON, and what its headers say."""

    content: str
    model: str
    source_lang: str
    target_lang: str
    translations: Translations
    timings: Mapping[str, float]
    """Milliseconds of each stage."""
    facts: Facts
    """What the log may tell of it."""

    @property
    def tokens(self) -> int:
        """Pieces that were read and written."""
        return self.translations.source_tokens + self.translations.target_tokens


@dataclass(frozen=True, slots=True)
class AlignAnswer:
    """A response body in the form that was asked for, and what its headers say."""

    content: bytes
    model: str
    tokens: int
    """Pieces that were read, of both sides."""
    timings: Mapping[str, float]
    """Milliseconds of each stage."""
    facts: Facts


class Service:
    """The models with what brings requests to them.

    `make_network` builds what decodes with a model. Raises StartupError for a model that does not
    run.
    """

    def __init__(
        self,
        settings: Settings,
        models: LoadedModels,
        *,
        metrics: Metrics | None = None,
        lifecycle: Lifecycle | None = None,
        make_network: MakeNetwork = fast_network,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.lifecycle = lifecycle or Lifecycle()
        pace = Pace()
        networks = make_networks(models, make_network, pace, settings.max_rows)
        self._supervisor = Supervisor(networks, settings, self.metrics, self.lifecycle, pace)
        self.catalog = Catalog(models, self._supervisor, self.metrics)
        self._door = Door(self.catalog, self._supervisor, settings)
        self._translator = Translator(self._supervisor, settings)
        self._aligner = Aligner(self._supervisor, settings)
        self.forms = FormWriter(settings)
        self.metrics.ready.set_function(lambda: float(self.reason_not_ready() is None))

    @property
    def admission(self) -> Admission:
        """Who is in, and who may come in."""
        return self._supervisor.admission

    @property
    def models(self) -> LoadedModels:
        """The models that answer at this moment."""
        return self.catalog.models

    def start(self) -> None:
        """Start the worker thread; once in the life of a service."""
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        self._supervisor.start()

    async def stop(self) -> None:
        """Stop the worker thread; requests that still wait are refused."""
        self.forms.close()
        await self._supervisor.stop()

    def check_ready(self) -> None:
        """Raise NotReadyError unless requests can be answered, and should be sent here."""
        reason = self.reason_not_ready()
        if reason is not None:
            raise NotReadyError(reason, self.settings.retry_after_seconds)

    def reason_not_ready(self) -> str | None:
        """Why no request should be sent here, if so."""
        if self.lifecycle.draining:
            return "The service is stopping."
        if self.lifecycle.failure is not None:
            return "The service has failed and ends."
        if not self._supervisor.is_working:
            return "The decoding worker does not answer."
        return None

    async def translate(
        self,
        request: TranslateRequest,
        receipt: RecordReply | None = None,
        caller: str = LOCAL,
        watch: Watch | None = None,
    ) -> TranslateAnswer:
        """Answer one request; raises a ServiceError for everything that stands against it.

        `receipt` says in the answer under which id it is going to be stored. Each `caller` has an
        equal share of the network. `watch` is told of every step; the answer is the same.
        """
        asked, request = request, await with_source_language(request, self.models)
        is_detected = request is not asked
        async with self._translations(request, caller, watch) as (model, translations):
            began = time.monotonic()
            tokens = translations.source_tokens + translations.target_tokens
            content = await take_turn(
                lambda: render(
                    translations,
                    model,
                    request,
                    self.settings.max_matrix_cells,
                    receipt,
                    is_detected=is_detected,
                ).model_dump_json(),
                is_short=tokens * request.decoding.n_best <= MOST_RENDERED_AT_ONCE,
            )
        rendered = {"render": 1000 * (time.monotonic() - began)}
        record_span("render", began, time.monotonic())
        facts: Facts = {
            "model": model.identity,
            "texts": len(request.texts),
            "characters": sum(map(len, request.texts)),
            "source_tokens": translations.source_tokens,
            "target_tokens": translations.target_tokens,
        }
        if translations.problems:
            facts["failed_texts"] = len(translations.problems)
        self.metrics.tokens.labels(model.name, "source").inc(translations.source_tokens)
        self.metrics.tokens.labels(model.name, "target").inc(translations.target_tokens)
        return TranslateAnswer(
            content,
            model=model.identity,
            source_lang=model.source_language,
            target_lang=model.target_language,
            translations=translations,
            timings={**translations.timings, **rendered},
            facts=facts,
        )

    async def align(self, request: TranslateRequest) -> list[AlignedText]:
        """Translate, and give the best translation of each text with its alignment for any form.

        Without segments where the model has no attention. Raises what `translate` does.
        """
        request = await with_source_language(request, self.models)
        async with self._translations(request, LOCAL) as (model, translations):
            asked = request.alignment or AlignmentRequest()
            levels = asked.levels if model.has_attention else []
            languages = model.source_language, model.target_language
            return [
                aligned_text(best, languages, asked.kind, levels) for best, *_ in translations.texts
            ]

    async def align_pairs(
        self, request: AlignRequest, form: Format, options: FormatOptions, caller: str = LOCAL
    ) -> AlignAnswer:
        """Align what is there already; only JSON holds several pairs, and scores beside weights.

        Raises a ServiceError for everything that stands against it.
        """
        asked, request = request, await with_source_language(request, self.models)
        is_detected = request is not asked
        async with self._pairs(request, caller) as (model, opposite, pairs, deadline):
            began = time.monotonic()
            if form.name == "json":
                cells = self.settings.max_matrix_cells
                content = await asyncio.to_thread(
                    lambda: (
                        render_pairs(pairs, model, request, cells, opposite, is_detected)
                        .model_dump_json()
                        .encode()
                    )
                )
            else:
                aligned = await asyncio.to_thread(_aligned_pair, model, pairs, request)
                content = await self.forms.write(aligned, form, options, deadline)
        return AlignAnswer(
            content,
            model=model.identity,
            tokens=pairs.source_tokens + pairs.target_tokens,
            timings={**pairs.timings, "render": 1000 * (time.monotonic() - began)},
            facts={
                "model": model.identity,
                "texts": len(request.sources),
                "characters": sum(map(len, [*request.sources, *request.targets])),
                "source_tokens": pairs.source_tokens,
                "target_tokens": pairs.target_tokens,
            },
        )

    async def align_pair(self, request: AlignRequest) -> AlignedText:
        """The alignment of one pair for any form; raises what `align_pairs` does."""
        request = await with_source_language(request, self.models)
        async with self._pairs(request, LOCAL) as (model, _, pairs, _):
            return await asyncio.to_thread(_aligned_pair, model, pairs, request)

    @asynccontextmanager
    async def _pairs(
        self, request: AlignRequest, caller: str
    ) -> AsyncIterator[tuple[LoadedModel, LoadedModel | None, Translations, float]]:
        """Align in the room that the request takes up until it is answered.

        Gives the model, that of the opposite direction where it was asked too, and the deadline.
        """
        check_pair_limits(request, self.settings)
        with (
            self._door.enter(request, caller) as (model, place),
            self._door.opposite(request, model) as opposite,
        ):
            check_alignment(request, model)
            pairs = await self._aligner.align(
                model,
                _request_pairs(request),
                place,
                split=request.split,
                head=asked_kind(request) == "head",
                opposite=opposite,
            )
            self.metrics.tokens.labels(model.name, "source").inc(pairs.source_tokens)
            self.metrics.tokens.labels(model.name, "target").inc(pairs.target_tokens)
            yield model, opposite, pairs, place.deadline

    @asynccontextmanager
    async def _translations(
        self, request: TranslateRequest, caller: str, watch: Watch | None = None
    ) -> AsyncIterator[tuple[LoadedModel, Translations]]:
        """Translate in the room of the service that the request takes up until it is answered."""
        problems = check_limits(request, self.settings)
        texts = dict(zip(request.text_pointers, request.texts, strict=True))
        with self._door.enter(request, caller) as (model, place):
            check_alignment(request, model)
            options = search_options(request)
            head = asked_kind(request) == "head"
            translated = self._translator.translate(
                model, texts, options, place, watch, head=head, problems=problems
            )
            yield model, await translated


def search_options(request: TranslateRequest) -> SearchOptions:
    """What the search is asked for."""
    return SearchOptions(**request.decoding.model_dump())


def _aligned_pair(model: LoadedModel, pairs: Translations, request: AlignRequest) -> AlignedText:
    if not model.has_attention:
        raise no_alignment()
    [[pair]] = pairs.texts
    languages = model.source_language, model.target_language
    levels = (request.alignment or AlignmentRequest()).levels
    return aligned_text(pair, languages, asked_kind(request), levels)


def _request_pairs(request: AlignRequest) -> list[Pair]:
    sides = zip(request.sources, request.targets, strict=True)
    places = zip(request.pointers("source"), request.pointers("target"), strict=True)
    return [Pair(*texts, *pointers) for texts, pointers in zip(sides, places, strict=True)]


def check_alignment(request: TranslateRequest | AlignRequest, model: LoadedModel) -> None:
    """Refuse an alignment that was asked for by name and that the model does not have."""
    asked = request.alignment is not None and "alignment" in request.model_fields_set
    if asked and not model.has_attention:
        raise no_alignment()
    kind = asked_kind(request)
    if model.has_attention and kind not in model.alignment_kinds:
        has = ", ".join(f"`{one}`" for one in model.alignment_kinds)
        message = f"This model has no alignments of the kind `{kind}`; it has {has}."
        raise InvalidInputError.of(
            [FieldError("/alignment/kind", "alignment_unavailable", message)]
        )


def no_alignment() -> InvalidInputError:
    """The error for an alignment of a model without attention."""
    message = "This model has no attention, so there is no alignment; leave `alignment` out."
    return InvalidInputError.of([FieldError("/alignment", "alignment_unavailable", message)])
