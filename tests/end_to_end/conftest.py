"""The service as a process of its own, started, watched and ended by a test."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import write_checkpoint
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90
HEADERS = {"Content-Type": "application/json"}


class RunningService:
    """A process with its address, its log and the file that sets the time of its steps."""

    def __init__(self, command, folder, settings, *, stderr=subprocess.PIPE):
        self.port = free_port()
        self.admin_port = free_port()
        self.step_file = folder / f"step-{self.port}"
        self.set_step("0")
        command = [argument.format(port=self.port, step=self.step_file) for argument in command]
        variables = {f"SOFTALIGN_{name.upper()}": str(value) for name, value in settings.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SOFTALIGN_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={
                **kept,
                "OMP_NUM_THREADS": "1",
                "SOFTALIGN_DATA": str(folder / f"data-{self.port}"),
                "SOFTALIGN_ADMIN_PORT": str(self.admin_port),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        self.log = []
        self._reader = None
        if stderr == subprocess.PIPE:
            self._reader = threading.Thread(target=self._read_log)
            self._reader.start()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"

    def _read_log(self):
        with self.process.stderr:
            for line in self.process.stderr:
                self.log.append(line.decode())

    def set_step(self, wish):
        whole = self.step_file.with_suffix(".new")
        whole.write_text(wish)
        whole.replace(self.step_file)

    def wait_until_ready(self):
        wait_for(lambda: self.process.poll() is not None or self.status("/readyz") == 200)
        assert self.process.poll() is None, self.log

    def status(self, path):
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.TransportError:
            return None

    def translate(self, text="Yes.", **fields):
        body = {"text": text, "alignment": None, "store": False, **fields}
        return httpx.post(f"{self.url}/v1/translate", json=body, timeout=PATIENCE_SECONDS)

    def metric(self, name, labels=""):
        text = httpx.get(f"{self.admin_url}/metrics").text
        found = re.search(rf"^softalign_{name}{re.escape(labels)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def events(self):
        return [json.loads(line) for line in self.log]

    def end(self):
        """Wait for the end and the rest of the log; gives the exit code."""
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        if self._reader is not None:
            self._reader.join(PATIENCE_SECONDS)
        return code


class Requests:
    """Requests that run side by side, each in a thread."""

    def __init__(self, ask, count):
        self.answers = []
        self._threads = [
            threading.Thread(target=lambda: self.answers.append(ask())) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self):
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        return self.answers


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def models(tmp_path_factory, joint_tokenizer):
    """A folder with the checkpoint `tiny`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_checkpoint(folder / "tiny", joint_tokenizer)
    return folder


@pytest.fixture
def start(tmp_path, models):
    """Start a service; it is ended with the test."""
    started = []

    def start_service(*, checkpoints=models, command=None, ready=True, stderr=-1, **settings):
        slow = ["tests.end_to_end.slow_service", str(checkpoints), "{port}", "{step}"]
        service = RunningService(command or slow, tmp_path, settings, stderr=stderr)
        started.append(service)
        if ready:
            service.wait_until_ready()
        return service

    yield start_service
    for service in started:
        service.process.kill()
        service.end()
        service.process.stdout.close()
