"""A service as a process of its own, and everything that can be seen of it from outside."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
CANARY = "Zanzibarcanary"
"""Stands in texts that are sent; must be in no log, no metric and no error."""
KNOWN_TEXT = f"The cat sleeps on the sofa, {CANARY}. We saw two birds."
WARM_UP_REQUESTS = 64
TOLERANCE = 2
"""File descriptors and threads that may come or go without anything being wrong."""


class Service:
    """One process with its address, its log and its use of the machine."""

    def __init__(
        self,
        folder: Path,
        port: int,
        admin_port: int,
        settings: dict[str, object],
        *,
        slow: bool,
        data: Path | None = None,
    ) -> None:
        self.folder = folder
        self.port, self.admin_port = port, admin_port
        self.data = data or folder / "data"
        self.log = folder / "log"
        self.step_file = folder / "step"
        self._settings = {"data": self.data, "admin_port": admin_port, **settings}
        self._slow = slow
        self.process: asyncio.subprocess.Process | None = None
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self._admin = httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin_port}", timeout=60)
        self._known: dict[str, object] = {}
        self.log_descriptor: int | None = None
        """Where it logs to instead of the file `log`."""
        self.prefix: tuple[str, ...] = ()
        """A program that starts the service, with its arguments."""
        self._files = self._threads = 0
        self.warm_up_count = 0.0
        """Sentences that were decoded before a case began."""

    @property
    def command(self) -> list[str]:
        """What is run; the slow one is the same service around a network that waits as told."""
        if self._slow:
            folder = str(self._settings["checkpoints"])
            arguments = [folder, str(self.port), str(self.step_file)]
            return ["-m", "tests.end_to_end.slow_service", *arguments]
        return ["-m", "app", "serve", "--port", str(self.port)]

    @property
    def environment(self) -> dict[str, str]:
        """Settings as variables, beside what is not about the service."""
        kept = {name: v for name, v in os.environ.items() if not name.startswith("SOFTALIGN_")}
        chosen = {f"SOFTALIGN_{name.upper()}": str(v) for name, v in self._settings.items()}
        return {**kept, "OMP_NUM_THREADS": "1", **chosen}

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        self.set_step("0")
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.prefix,
                sys.executable,
                *self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log if self.log_descriptor is None else self.log_descriptor,
            )
        async with asyncio.timeout(START_SECONDS):
            while await self.status("/readyz") != 200:
                if not self.is_alive:
                    raise RuntimeError(f"the service did not start: {self.log.read_text()[-500:]}")
                await asyncio.sleep(0.05)
        # Pools and threads are made on first use: what is there afterwards is the normal state.
        await asyncio.gather(*(self.translate(store=True) for _ in range(WARM_UP_REQUESTS)))
        for _ in range(3):
            reads = (self.status("/v1/translations?limit=1") for _ in range(WARM_UP_REQUESTS))
            await asyncio.gather(*reads)
        self._known = await self.known_answer()
        self._files, self._threads = self.files(), self.threads()
        self.warm_up_count = await self.metric("queue_wait_seconds_count")

    def set_step(self, wish: str) -> None:
        """Seconds of each decoding step from now on (of a slow service), `forever` or `dead`."""
        whole = self.step_file.with_suffix(".new")
        whole.write_text(wish)
        whole.replace(self.step_file)

    # The process.

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self.process is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self, seconds: float = 60.0) -> int:
        """Wait for the end; gives the exit code."""
        assert self.process is not None
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it as a power loss would, where it runs."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.http.aclose()
        await self._admin.aclose()

    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def files(self) -> int:
        """Open file descriptors."""
        return int(psutil.Process(self.pid).num_fds())

    def threads(self) -> int:
        """Threads of the process."""
        return int(psutil.Process(self.pid).num_threads())

    async def stable_rss(self) -> int:
        """Memory once ten readings in a row lie within 0.1 MiB, or after five seconds."""
        readings = [self.rss()]
        for _ in range(50):
            await asyncio.sleep(0.1)
            readings = [*readings[-9:], self.rss()]
            if len(readings) == 10 and max(readings) - min(readings) < 0.1 * 2**20:
                break
        return readings[-1]

    # What it answers.

    async def status(self, path: str) -> int | None:
        """Of a GET; None where nobody answers."""
        try:
            return (await self.http.get(path)).status_code
        except httpx.TransportError:
            return None

    async def translate(self, text: object = KNOWN_TEXT, **fields: object) -> httpx.Response:
        """A translation; greedy and not stored unless told otherwise."""
        body = {"text": text, "store": False, "decoding": {"beam_size": 1}, **fields}
        return await self.http.post("/v1/translate", json=body)

    async def known_answer(self) -> dict[str, object]:
        """The translation of `KNOWN_TEXT` with its alignment, which must never change."""
        reply = (await self.translate()).json()
        return {name: reply.get(name) for name in ("translations", "model")}

    async def exposition(self) -> str:
        """All metrics."""
        return (await self._admin.get("/metrics")).text

    async def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric that have these labels; 0 where there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = re.findall(rf"^softalign_{name}(\{{.*\}})? (\S+)$", await self.exposition(), re.M)
        return sum(float(v) for shown, v in found if all(pair in shown for pair in wanted))

    async def post_admin(self, path: str) -> httpx.Response:
        """A request to the admin listener."""
        return await self._admin.post(path)

    def events(self) -> list[dict[str, object]]:
        """The log, line by line; raises ValueError where a line is not one JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    # Whether all is as it was.

    async def complaints(self) -> list[str]:
        """What is not as it was before: nothing, where a case has done no harm."""
        if not self.is_alive:
            return ["the process is gone"]
        found = []
        if await self.status("/livez") != 200:
            found.append("/livez is not 200")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while found_now := await self._unsettled():
                    await asyncio.sleep(0.1)
        found += found_now
        if await self.known_answer() != self._known:
            found.append("the known text is translated otherwise")
        if CANARY in self.log.read_text() or CANARY in await self.exposition():
            found.append("a text is in the log or in the metrics")
        return found

    async def _unsettled(self) -> list[str]:
        found = []
        running = await self.metric("requests_in_progress") - 1  # the scrape is one
        for what, left in (
            ("requests in progress", running),
            ("sentences in the queue", await self.metric("queue_sentences")),
            ("sentences in the table", await self.metric("active_sentences")),
            ("file descriptors", max(0, self.files() - self._files - TOLERANCE)),
            ("threads", max(0, self.threads() - self._threads - TOLERANCE)),
        ):
            if left:
                found.append(f"{left:g} {what} too many")
        return found
