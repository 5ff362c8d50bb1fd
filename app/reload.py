"""Puts models into use, and takes them back, while the service runs.

A checkpoint is tried in a process of its own first: a file that crashes a parser, or needs more
memory than there is, then ends the trial and not the service. Whatever fails leaves the models that
serve as they were.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.catalog import Catalog, MakeNetwork, NothingToRollBackError
from app.errors import InvalidInputError, ServiceError
from app.metrics import Metrics
from app.models import LoadedModel, StartupError, digest_in, load_model, named_checkpoints
from app.supervisor import Network

log = logging.getLogger(__name__)

TRIAL_SECONDS = 120.0
"""Longest time for a checkpoint to load and run in a process of its own."""

Result = Literal["activated", "unchanged", "rolled_back", "failed"]


class ModelNotFoundError(ServiceError):
    """No checkpoint under the folder has this name."""

    def __init__(self, folder: Path) -> None:
        super().__init__("not_found", f"No checkpoint under {folder} has this name.")


class ModelUnusableError(InvalidInputError):
    """The checkpoint was refused; the model that serves is still the one of before."""

    def __init__(self, reason: str) -> None:
        super().__init__("model_unusable", f"{reason}. The model that serves was not changed.")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one model."""

    name: str
    digest: str
    """Of the model that answers now."""
    result: Result
    reason: str = ""


class Reloader:
    """Changes the models of a catalog, one change at a time."""

    def __init__(
        self, catalog: Catalog, folder: Path, metrics: Metrics, make_network: MakeNetwork
    ) -> None:
        self._catalog = catalog
        self._folder = folder
        self._metrics = metrics
        self._make_network = make_network
        self._one_at_a_time = asyncio.Lock()

    async def activate(self, name: str) -> Change:
        """Load the model of this name from the folder again and switch to it.

        Raises:
            ModelNotFoundError: the folder has none of this name.
            ModelUnusableError: it is broken or does not run.
        """
        async with self._one_at_a_time:
            folders = await asyncio.to_thread(self._folders)
            if name not in folders:
                raise ModelNotFoundError(self._folder)
            return await self._activate(name, folders[name])

    async def roll_back(self, name: str) -> Change:
        """Switch to the model that answered to this name before.

        Raises:
            ModelNotFoundError: no model has this name.
            NothingToRollBackError: it was never replaced.
        """
        async with self._one_at_a_time:
            if self._catalog.models.get(name) is None:
                raise ModelNotFoundError(self._folder)
            try:
                model = self._catalog.roll_back(name)
            except NothingToRollBackError:
                self._metrics.model_changes.labels("failed").inc()
                raise
            return self._done(model, "rolled_back")

    async def reload(self) -> list[Change]:
        """Activate every model of the folder. One that fails leaves its name as it was.

        Models whose folder is gone go on serving until the service starts anew.
        """
        async with self._one_at_a_time:
            try:
                folders = await asyncio.to_thread(self._folders)
            except ModelUnusableError as error:
                log.error("nothing was reloaded: %s", error.detail)  # noqa: TRY400 - told in full
                return []
            return [await self._attempt(name, folder) for name, folder in folders.items()]

    async def _attempt(self, name: str, folder: Path) -> Change:
        try:
            return await self._activate(name, folder)
        except ModelUnusableError as error:
            serving = self._catalog.models.get(name)
            return Change(name, serving.digest if serving else "", "failed", error.detail)

    def _folders(self) -> dict[str, Path]:
        try:
            return named_checkpoints(self._folder)
        except StartupError as error:
            self._metrics.model_changes.labels("failed").inc()
            raise ModelUnusableError(str(error)) from error

    async def _activate(self, name: str, folder: Path) -> Change:
        serving = self._catalog.models.get(name)
        if serving is not None and serving.digest == digest_in(folder):
            return self._done(serving, "unchanged")
        try:
            await try_in_child(folder)
            model, network = await asyncio.to_thread(self._load, folder)
        except StartupError as error:
            self._metrics.model_changes.labels("failed").inc()
            log.error("the model %s was not activated: %s", name, error)  # noqa: TRY400
            raise ModelUnusableError(str(error)) from error
        self._catalog.install(model, network)
        return self._done(model, "activated")

    def _load(self, folder: Path) -> tuple[LoadedModel, Network]:
        try:
            model = load_model(folder)
            network = self._make_network(model)
        except (MemoryError, RuntimeError) as error:  # PyTorch's own words for no memory
            raise StartupError(f"{folder} cannot be loaded ({type(error).__name__})") from error
        self._catalog.warm_up(model, network)
        return model, network

    def _done(self, model: LoadedModel, result: Result) -> Change:
        self._metrics.model_changes.labels(result).inc()
        log.info("the model %s is %s", model.identity, result.replace("_", " "))
        return Change(model.name, model.digest, result)


async def try_in_child(folder: Path) -> None:
    """Load and run the checkpoint with `python -m app check`; raises StartupError."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "check", str(folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:  # no memory or no process to be had
        raise StartupError(f"{folder} cannot be tried: {error.strerror}") from error
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            _, complaint = await process.communicate()
    except TimeoutError:
        raise StartupError(f"{folder} did not load within {TRIAL_SECONDS:g} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        ended = f"loading {folder} ended its process with code {process.returncode}"
        raise StartupError(last.removeprefix("softalign: ") or ended)
