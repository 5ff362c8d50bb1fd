"""Starts services for the cases: one that most of them share, and others of their own."""

import asyncio
import contextlib
import itertools
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from benchmarks.abuse.service import Service


class Bench:
    """The folder, the ports and the services of one run."""

    def __init__(self, folder: Path, checkpoints: Path, first_port: int) -> None:
        self.folder = folder
        self.checkpoints = checkpoints
        self.memory: dict[str, object] = {}
        """What one case has measured and others judge, by the name of the measurement."""
        self._ports = _free_ports(first_port)
        self._folders = itertools.count()
        self._shared: Service | None = None
        self._finished: list[Service] = []

    def port(self) -> int:
        """A port that nobody listens at."""
        return next(self._ports)

    def new_folder(self) -> Path:
        """An empty folder."""
        folder = self.folder / f"case-{next(self._folders)}"
        folder.mkdir()
        return folder

    def copied_checkpoints(self) -> Path:
        """A copy of the checkpoints, to be damaged."""
        return Path(shutil.copytree(self.checkpoints, self.new_folder() / "checkpoints"))

    async def shared(self) -> Service:
        """The service with default settings that cases share, as long as it lives."""
        if self._shared is None or not self._shared.is_alive:
            self._shared = await self._started({}, slow=False)
        return self._shared

    @property
    def shared_if_any(self) -> Service | None:
        """The shared service, if a case has needed it."""
        return self._shared

    @contextlib.asynccontextmanager
    async def service(
        self,
        *,
        slow: bool = False,
        data: Path | None = None,
        log_descriptor: int | None = None,
        **settings: object,
    ) -> AsyncIterator[Service]:
        """A service of one's own; with `slow` the time of its steps can be set."""
        service = await self._started(settings, slow=slow, data=data, log_descriptor=log_descriptor)
        try:
            yield service
        finally:
            await service.kill()
            self._finished.append(service)

    async def _started(
        self,
        settings: dict[str, object],
        *,
        slow: bool,
        data: Path | None = None,
        log_descriptor: int | None = None,
    ) -> Service:
        service = Service(
            self.new_folder(),
            self.port(),
            self.port(),
            {"checkpoints": self.checkpoints, **settings},
            slow=slow,
            data=data,
        )
        service.log_descriptor = log_descriptor
        await service.start()
        return service

    async def start_prefixed(self, prefix: tuple[str, ...], data: Path) -> Service:
        """A service that is started by another program, such as one that takes rights away."""
        settings: dict[str, object] = {"checkpoints": self.checkpoints}
        service = Service(
            self.new_folder(), self.port(), self.port(), settings, slow=False, data=data
        )
        service.prefix = prefix
        await service.start()
        return service

    def logs(self) -> list[Path]:
        """What every service of this run has written."""
        services = [*self._finished, *([self._shared] if self._shared else [])]
        return [service.log for service in services]

    async def close(self) -> None:
        """End what is left."""
        if self._shared is not None:
            await self._shared.kill()


def _free_ports(first: int) -> Iterator[int]:
    for port in itertools.count(first):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                yield port


async def until(condition: object, seconds: float = 60.0, every: float = 0.005) -> bool:
    """Wait for a condition (a function, or one that is awaited); False if it never came."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        value = condition()  # type: ignore[operator]
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return True
        if loop.time() > end:
            return False
        await asyncio.sleep(every)
