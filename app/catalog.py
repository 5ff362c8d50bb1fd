"""The models in use, which can change while requests run.

A switch is one assignment on the event loop: a request that has chosen its model keeps it to its
end, network, tokenizers and name alike, and the next request gets the new one. The model that
was replaced stays loaded for a rollback; the one before it is forgotten once no request uses it.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from app.errors import ServiceError
from app.metrics import Metrics
from app.models import LoadedModel, LoadedModels, StartupError
from app.supervisor import Network, Supervisor
from model.batch import pad_sentences
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.search import SearchError, beam_search

MakeNetwork = Callable[[LoadedModel], Network]

WARM_UP_ROWS = (1, 8, 64)
"""Batches of a warm-up: kernels are chosen, and their buffers made, by the number of rows."""
WARM_UP_PIECES = 12


def fast_network(model: LoadedModel) -> Network:
    """The network as it is served."""
    return FastSeq2Seq(model.checkpoint.model)


def warm_up(model: LoadedModel, network: Network) -> None:
    """Translate a nonsense sentence, so that no caller pays for what only the first one does.

    Raises:
        StartupError: the network gives no finite probability, or cannot be run at all.
    """
    eos = model.checkpoint.source_tokenizer.eos_id
    pieces = [index % network.config.source_vocabulary_size for index in range(WARM_UP_PIECES)]
    options = SearchOptions(beam_size=1, max_length=3)
    try:
        for rows in WARM_UP_ROWS:
            batch = pad_sentences([[*pieces, eos]] * rows, network.config.pad_id)
            beam_search(network, batch, options)
    except (SearchError, RuntimeError, IndexError) as error:
        raise StartupError(f"the model {model.name} does not run: {error}") from error


def make_networks(models: LoadedModels, make: MakeNetwork) -> dict[str, Network]:
    """A network for each model, warm, keyed by the identity of its model."""
    networks = {model.identity: make(model) for model in models}
    for model in models:
        warm_up(model, networks[model.identity])
    return networks


class NothingToRollBackError(ServiceError):
    """The model has not been replaced since the start."""

    def __init__(self) -> None:
        super().__init__(
            "nothing_to_roll_back", "This model has not been replaced since the service started."
        )


class Catalog:
    """Which model answers to which name; every method belongs to the event loop."""

    def __init__(self, models: LoadedModels, supervisor: Supervisor, metrics: Metrics) -> None:
        self.models = models
        self._supervisor = supervisor
        self._metrics = metrics
        self._previous: dict[str, LoadedModel] = {}
        self._users: Counter[str] = Counter()
        metrics.describe_models(models)

    @contextlib.contextmanager
    def use(
        self, name: str | None, source: str | None, target: str | None
    ) -> Iterator[LoadedModel]:
        """The model that fits, kept loaded until the request is done; see `LoadedModels.choose`."""
        model = self.models.choose(name, source, target)
        self._users[model.identity] += 1
        try:
            yield model
        finally:
            self._users[model.identity] -= 1
            self._forget_unused()

    def previous(self, name: str) -> LoadedModel | None:
        """The model that a rollback of `name` would bring back."""
        return self._previous.get(name)

    def install(self, model: LoadedModel, network: Network) -> None:
        """Let `model` answer to its name from now on."""
        if model.identity not in self._supervisor.models:
            self._supervisor.add(model.identity, network)
        self._switch(model)

    def roll_back(self, name: str) -> LoadedModel:
        """Bring back the model that `name` had before; a second time undoes that again.

        Raises NothingToRollBackError.
        """
        model = self._previous.get(name)
        if model is None:
            raise NothingToRollBackError
        self._switch(model)
        return model

    def _switch(self, model: LoadedModel) -> None:
        replaced = self.models.get(model.name)
        if replaced is not None:
            self._previous[model.name] = replaced
        self.models = self.models.having(model)
        self._metrics.describe_models(self.models)
        self._forget_unused()

    def _forget_unused(self) -> None:
        """Free the networks that neither a name, nor a rollback, nor a request needs."""
        kept = {model.identity for model in (*self.models, *self._previous.values())}
        kept.update(identity for identity, users in self._users.items() if users)
        for identity in self._supervisor.models - kept:
            self._supervisor.remove(identity)
            del self._users[identity]
