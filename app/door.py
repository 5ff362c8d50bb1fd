"""Where requests come in: each gets the model that answers it, and its place in the service."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.admission import Claim, Reservation, guess_lane, guess_load
from app.align_schemas import AlignRequest
from app.catalog import Catalog
from app.errors import FieldError, InvalidInputError
from app.models import LoadedModel
from app.schemas import TranslateRequest
from app.settings import Settings
from app.supervisor import Supervisor

LOCAL = "local"
"""The caller where nobody says who asks."""


class Door:
    """Lets requests in; every method belongs to the event loop."""

    def __init__(self, catalog: Catalog, supervisor: Supervisor, settings: Settings) -> None:
        self._catalog = catalog
        self._supervisor = supervisor
        self._settings = settings

    @contextmanager
    def enter(
        self, request: TranslateRequest | AlignRequest, caller: str
    ) -> Iterator[tuple[LoadedModel, Reservation]]:
        """Hold a place, before any work, until the request is answered.

        Raises what `LoadedModels.choose` and `Admission.reserve` do.
        """
        if isinstance(request, TranslateRequest):
            texts, beam, lane = request.texts, request.decoding.beam_size, request.lane
        else:
            texts, beam, lane = request.sources, 1, None
            if request.both_directions:
                texts = [*texts, *request.targets]
        load = guess_load(texts)
        if lane is None:
            lane = guess_lane(load)
        choice = request.model, request.source_lang, request.target_lang
        with self._catalog.use(*choice) as model:
            work = self._supervisor.pace.work(model.identity, beam * load.tokens)
            claim = Claim(caller, lane, load, work, self._seconds(request))
            with self._supervisor.admission.reserve(claim) as reservation:
                yield model, reservation

    @contextmanager
    def opposite(self, request: AlignRequest, model: LoadedModel) -> Iterator[LoadedModel | None]:
        """The model of the opposite direction, kept loaded, if the request asks for both.

        Raises InvalidInputError where there is none with an alignment head.
        """
        if not request.both_directions:
            yield None
            return
        found = self._catalog.models.opposite(model)
        if found is None:
            way = f"from {model.target_language} to {model.source_language}"
            message = f"No model {way} has an alignment head; leave `both_directions` out."
            raise InvalidInputError.of(
                [FieldError("/both_directions", "alignment_unavailable", message)]
            )
        with self._catalog.use(found.name, None, None) as opposite:
            yield opposite

    def _seconds(self, request: TranslateRequest | AlignRequest) -> float:
        most = self._settings.deadline_seconds
        return most if request.deadline_ms is None else min(most, request.deadline_ms / 1000)
