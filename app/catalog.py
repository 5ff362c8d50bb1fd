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
from app.models import LoadedModel, LoadedModels
from app.pace import Pace
from app.supervisor import Network, Supervisor
from app.warm_up import warm_up
from model.fast_seq2seq import FastSeq2Seq
from model.packed import serving_device

MakeNetwork = Callable[[LoadedModel], Network]


def fast_network(model: LoadedModel) -> Network:
    """The network as it is served, on the GPU where there is one; its weights are moved there."""
    device, head = serving_device(), model.checkpoint.alignment_head
    return FastSeq2Seq(
        model.checkpoint.model.to(device), head=None if head is None else head.to(device)
    )


def lean_network(model: LoadedModel) -> Network:
    """The same, of a model that is served and nothing else: its own float32 weights are let go.

    No other network can be made of `model` afterwards.
    """
    network = fast_network(model)
    for part in (model.checkpoint.model, model.checkpoint.alignment_head):
        if part is not None:
            part.to("meta")
    return network


def make_networks(
    models: LoadedModels, make: MakeNetwork, pace: Pace, max_rows: int
) -> dict[str, Network]:
    """A network for each model, warm, keyed by the identity of its model."""
    networks = {model.identity: make(model) for model in models}
    for model in models:
        warm_up(model, networks[model.identity], pace, max_rows)
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

    def warm_up(self, model: LoadedModel, network: Network) -> None:
        """Prepare what is going to be installed; any thread may. Raises StartupError."""
        warm_up(model, network, self._supervisor.pace, self._supervisor.max_rows)

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
