"""All that a running service consists of, started and stopped as one."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from app.engine import Engine
from app.errors import FieldError, InvalidInputError, NotReadyError
from app.limits import check_limits
from app.models import LoadedModel, LoadedModels
from app.rendering import render
from app.scheduler import Scheduler
from app.schemas import TranslateRequest
from app.settings import Settings
from app.translator import Translator
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions


@dataclass(frozen=True, slots=True)
class TranslateAnswer:
    """A response body as JSON, and what its headers say."""

    content: str
    model: str
    timings: Mapping[str, float]
    """Milliseconds of each stage."""


class Service:
    """The models with what brings requests to them."""

    def __init__(self, settings: Settings, models: LoadedModels) -> None:
        self.settings = settings
        self.models = models
        engines = {model.name: Engine(FastSeq2Seq(model.checkpoint.model)) for model in models}
        self._scheduler = Scheduler(engines, settings)
        self._translator = Translator(self._scheduler, settings)

    def start(self) -> None:
        """Start the worker thread; once in the life of a service."""
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        self._scheduler.start()

    async def stop(self) -> None:
        """Stop the worker thread; requests that still wait are refused."""
        await self._scheduler.stop()

    def check_ready(self) -> None:
        """Raise NotReadyError unless requests can be answered."""
        if not self._scheduler.is_working:
            raise NotReadyError(
                "The decoding thread is not running.", self.settings.retry_after_seconds
            )

    async def translate(self, request: TranslateRequest) -> TranslateAnswer:
        """Answer one request; raises a ServiceError for everything that stands against it."""
        deadline = time.monotonic() + self._seconds(request)
        check_limits(request, self.settings)
        model = self.models.choose(request.model, request.source_lang, request.target_lang)
        check_alignment(request, model)
        texts = dict(zip(request.text_pointers, request.texts, strict=True))
        with self._scheduler.reserve(sum(map(len, texts.values()))):
            translations = await self._translator.translate(
                model, texts, search_options(request), deadline
            )
            began = time.monotonic()
            content = await asyncio.to_thread(
                lambda: render(
                    translations, model, request, self.settings.max_matrix_cells
                ).model_dump_json()
            )
        rendered = {"render": 1000 * (time.monotonic() - began)}
        return TranslateAnswer(
            content,
            model=f"{model.name}@{model.checkpoint.digest}",
            timings={**translations.timings, **rendered},
        )

    def _seconds(self, request: TranslateRequest) -> float:
        most = self.settings.deadline_seconds
        return most if request.deadline_ms is None else min(most, request.deadline_ms / 1000)


def search_options(request: TranslateRequest) -> SearchOptions:
    """What the search is asked for."""
    return SearchOptions(**request.decoding.model_dump())


def check_alignment(request: TranslateRequest, model: LoadedModel) -> None:
    """Refuse an alignment that was asked for by name and that the model does not have."""
    asked = request.alignment is not None and "alignment" in request.model_fields_set
    if asked and not model.has_attention:
        message = "This model has no attention, so there is no alignment; leave `alignment` out."
        raise InvalidInputError.of([FieldError("/alignment", "alignment_unavailable", message)])
