"""What stands in the way of a start is told in one line, with the way out."""

import os
import socket
import subprocess
import sys

import pytest

from tests.end_to_end.conftest import PATIENCE_SECONDS, ROOT

CANNOT_START = 1


def serve(*arguments, folder, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOFTALIGN_")}
    result = subprocess.run(
        [sys.executable, "-m", "app", "serve", *arguments],
        cwd=ROOT,
        env={**kept, "SOFTALIGN_DATA": str(folder / "data"), **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert result.returncode == CANNOT_START
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("softalign: ")
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SOFTALIGN_MAX_TEXT", "5", "did you mean SOFTALIGN_MAX_TEXTS?"),
        ("SOFTALIGN_MAX_TEXTS", "many", "SOFTALIGN_MAX_TEXTS"),
        ("SOFTALIGN_DRAIN_SECONDS", "30", "SOFTALIGN_SHUTDOWN_SECONDS"),
        ("SOFTALIGN_CHECKPOINTS", "nowhere", "there is no folder nowhere"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, variable, value, told):
    assert told in serve("--port", "0", folder=tmp_path, **{variable: value})


def test_a_port_that_is_taken_is_named_before_models_are_loaded(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        complaint = serve("--port", port, "--checkpoints", "nowhere", folder=tmp_path)
    assert f"127.0.0.1 port {port}" in complaint
    assert "--port" in complaint


def test_a_broken_checkpoint_is_named(tmp_path, models):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (models / "tiny").iterdir():
        content = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            content[-1] ^= 1
        (broken / file.name).write_bytes(content)
    complaint = serve("--port", "0", "--checkpoints", str(broken), folder=tmp_path)
    assert "model.safetensors" in complaint
