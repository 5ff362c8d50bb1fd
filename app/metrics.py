"""What the service counts, as Prometheus reads it from the admin listener.

Every label takes its values from a set that we fix: routes, methods, problem codes, names of loaded
models. Nothing of a caller becomes a label, so that no caller can make the series grow or read in
them what another has sent. `docs/operations.md` explains each metric.
"""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST as EXPOSITION_MEDIA_TYPE

__all__ = ["EXPOSITION_MEDIA_TYPE", "METHODS", "UNMATCHED", "DescribedModel", "Metrics"]

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no question here needs

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods with a label of their own; any other word that a caller sends is `other`."""

UNMATCHED = "unmatched"
"""Route of a request that fits none of ours."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STEP_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class DescribedModel(Protocol):
    """What the metrics say of a model in use."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def source_language(self) -> str: ...
    @property
    def target_language(self) -> str: ...


class Metrics:
    """All metrics of one service, in a registry of its own. Every method may come from any thread.

    Prefix and unit stand in each name; times are in seconds.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests()
        self._decoding()
        self._process()

    def _requests(self) -> None:
        self.requests = self._counter(
            "requests", "Answered requests.", ("route", "method", "status")
        )
        self.request_seconds = self._histogram(
            "request_seconds", "Time from the first header to the last byte.", _SECONDS, ("route",)
        )
        self.requests_in_progress = self._gauge(
            "requests_in_progress", "Requests that are being answered."
        )
        self.rejections = self._counter(
            "rejections", "Requests answered with a problem, by its code.", ("reason",)
        )
        self.connections = self._gauge("connections", "Open connections of the public listener.")
        self.connections_closed = self._counter(
            "connections_closed", "Connections closed for a limit, by which one.", ("reason",)
        )
        self.tokens = self._counter(
            "tokens", "Pieces read (source) and written (target).", ("model", "side")
        )

    def _decoding(self) -> None:
        self.queue_sentences = self._gauge("queue_sentences", "Sentences that wait for a place.")
        self.queue_wait_seconds = self._histogram(
            "queue_wait_seconds", "Time that a sentence waited for a place.", _SECONDS
        )
        self.active_sentences = self._gauge(
            "active_sentences", "Sentences that are decoded side by side."
        )
        self.step_seconds = self._histogram(
            "step_seconds", "Time of one decoding step; its count is the number of steps.",
            _STEP_SECONDS, ("model",),
        )  # fmt: skip
        self.batch_rows = self._histogram(
            "batch_rows", "Hypotheses in one decoding step.", _ROWS, ("model",)
        )
        self.first_token_seconds = self._histogram(
            "first_token_seconds", "Time from the queue to a sentence's first token.", _SECONDS
        )
        self.worker_replacements = self._counter(
            "worker_replacements", "Decoding workers that were stuck or dead.", ("reason",)
        )

    def _process(self) -> None:
        self.ready = self._gauge("ready", "1 while requests are translated.")
        self.model_info = self._gauge(
            "model_info", "1 for each model in use.",
            ("model", "digest", "source_language", "target_language"),
        )  # fmt: skip
        self.model_changes = self._counter(
            "model_changes", "Activations and rollbacks, by how they ended.", ("result",)
        )
        self.log_lines_dropped = self._counter(
            "log_lines_dropped", "Log lines that their reader was too slow for."
        )

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(f"softalign_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(f"softalign_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: Iterable[float], labels: Iterable[str] = ()
    ) -> Histogram:
        return Histogram(
            f"softalign_{name}", text, labels, registry=self.registry, buckets=tuple(buckets)
        )

    def describe_models(self, models: Iterable[DescribedModel]) -> None:
        """Say which models are in use; those of before are gone."""
        self.model_info.clear()
        for model in models:
            self.model_info.labels(
                model.name, model.digest, model.source_language, model.target_language
            ).set(1)

    def exposition(self) -> bytes:
        """All metrics in the text format, media type `EXPOSITION_MEDIA_TYPE`."""
        return generate_latest(self.registry)
