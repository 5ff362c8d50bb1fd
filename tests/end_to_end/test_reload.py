"""Models are replaced in a running process: no request fails, and a broken one changes nothing."""

import re
import shutil
import signal
import threading
from pathlib import Path

import httpx
import pytest

from model.checkpoint import load_checkpoint
from tests.app.conftest import write_checkpoint
from tests.end_to_end.conftest import wait_for


@pytest.fixture
def folder(tmp_path, models):
    shutil.copytree(models, tmp_path / "models")
    return tmp_path / "models"


def publish(folder, tokenizer, **choices):
    """Put another model in the place of `tiny`; gives its digest."""
    write_checkpoint(folder / "tiny", tokenizer, **choices)
    return load_checkpoint(folder / "tiny").digest


def damage(folder):
    weights = folder / "tiny" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    manifest = folder / "tiny" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("untrained", "changed") + "\n")


class Load:
    """Requests one after the other in the background, until it is left."""

    def __init__(self, service):
        self._service = service
        self._stop = threading.Event()
        self.answers = []

    def __enter__(self):
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def _ask(self):
        while not self._stop.is_set():
            self.answers.append(self._service.translate())

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def check(self):
        """Each has one model, in its header as in its body."""
        assert {answer.status_code for answer in self.answers} == {200}
        for answer in self.answers:
            model = answer.json()["model"]
            assert answer.headers["x-model"] == f"{model['name']}@{model['digest']}"


def post(service, action):
    return httpx.post(f"{service.admin_url}/v1/admin/models/{action}", timeout=120)


def test_activation_rollback_and_a_broken_checkpoint_under_load(start, folder, joint_tokenizer):
    service = start(checkpoints=folder)
    old = service.translate().json()["model"]["digest"]
    new = publish(folder, joint_tokenizer, cell="lstm")
    with Load(service) as load:
        activated = post(service, "tiny:activate")
        assert activated.json() == {"name": "tiny", "digest": new, "result": "activated"}
        assert service.translate().json()["model"]["digest"] == new
        assert post(service, "tiny:activate").json()["result"] == "unchanged"
        damage(folder)
        refused = post(service, "tiny:activate")
        assert (refused.status_code, refused.json()["code"]) == (422, "model_unusable")
        assert "model.safetensors" in refused.json()["detail"]
        assert service.translate().json()["model"]["digest"] == new
        back = post(service, "tiny:rollback")
        assert back.json() == {"name": "tiny", "digest": old, "result": "rolled_back"}
        assert service.translate().json()["model"]["digest"] == old
    load.check()
    assert {answer.json()["model"]["digest"] for answer in load.answers} <= {old, new}
    assert service.metric("model_changes_total", '{result="failed"}') == 1


def test_sighup_takes_what_is_new_and_keeps_what_is_broken(start, folder, joint_tokenizer):
    service = start(checkpoints=folder)
    old = service.translate().json()["model"]["digest"]
    write_checkpoint(folder / "second", joint_tokenizer)
    damage(folder)
    service.process.send_signal(signal.SIGHUP)
    names = '{result="activated"}'
    wait_for(lambda: service.metric("model_changes_total", names) == 1)
    wait_for(lambda: service.metric("model_changes_total", '{result="failed"}') == 1)
    assert service.translate(model="second").status_code == 200
    assert service.translate(model="tiny").json()["model"]["digest"] == old


def test_sighup_while_the_service_starts_is_acted_on_when_it_has(start, folder):
    command = ["app", "serve", "--port", "{port}", "--checkpoints", str(folder)]
    service = start(command=command, ready=False)
    wait_for(lambda: holds_hangups(service.process.pid) or service.process.poll() is not None)
    service.process.send_signal(signal.SIGHUP)
    service.wait_until_ready()
    # It answers, so it goes on living; and the reload has looked at what was loaded by the start.
    wait_for(lambda: service.metric("model_changes_total", '{result="unchanged"}') == 1)
    assert not holds_hangups(service.process.pid)


def holds_hangups(pid):
    """Whether the main thread of a process has SIGHUP wait."""
    status = Path(f"/proc/{pid}/status").read_text()
    [mask] = re.findall(r"^SigBlk:\t(\w+)$", status, re.MULTILINE)
    return bool(int(mask, 16) >> (signal.SIGHUP - 1) & 1)


def test_a_request_in_flight_is_finished_by_the_model_it_began_with(start, folder, joint_tokenizer):
    service = start(checkpoints=folder, stall_seconds=60)
    old = service.translate().json()["model"]["digest"]
    publish(folder, joint_tokenizer, cell="lstm")
    service.set_step("0.3")
    answers = []
    running = threading.Thread(target=lambda: answers.append(service.translate()))
    running.start()
    wait_for(lambda: service.metric("active_sentences") >= 1)
    service.set_step("forever")
    assert post(service, "tiny:activate").json()["result"] == "activated"
    service.set_step("0")
    running.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["model"]["digest"] == old


def test_names_of_callers_open_no_files(start, folder):
    service = start(checkpoints=folder)
    for name in ("..", "%2e%2e%2f", "..%2ftiny", "%00", "tiny%2f..", "C:%5c", "x" * 3_000):
        assert post(service, f"{name}:activate").status_code in (404, 405)
    origin = {"Origin": "https://example.org"}
    url = f"{service.admin_url}/v1/admin/models/tiny:rollback"
    assert httpx.post(url, headers=origin).status_code == 403
    for path in ("/metrics", "/v1/admin/models"):
        assert service.status(path) == 404
