"""State and checkpoints are whole or not there: when killed, and on a disk that is full."""

import hashlib
import os
import random
import struct
import subprocess
import time
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_checkpoint
from tests.training.faults.processes import end, start
from tests.training.faults.savers import (
    acknowledged,
    save_beyond_the_limit,
    save_checkpoints_for_ever,
    save_states_for_ever,
)
from training.resume import ResumeStore


def kill_at_random_moments(times, progress, work, *arguments):
    """Let `work` go on, kill it, and yield the last step that it said was saved; many times."""
    moments = random.Random(7)
    progress.write_bytes(struct.pack("<q", 0))
    for _ in range(times):
        before = acknowledged(progress)
        process = start(work, *arguments)
        while acknowledged(progress) == before:
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        assert end(process) == -9
        yield acknowledged(progress)


def test_no_saved_state_is_lost_when_fifty_savers_are_killed(tmp_path):
    progress, folder = tmp_path / "progress", tmp_path / "resume"
    half_written = 0
    for step in kill_at_random_moments(50, progress, save_states_for_ever, folder, progress):
        half_written += any(path.suffix == ".tmp" for path in folder.iterdir())
        state, complaints = ResumeStore(folder).load()
        assert complaints == []
        assert state["step"] >= step
        assert torch.equal(state["weights"], torch.full((30_000,), float(state["step"])))
    assert half_written, "no saver was killed while it was writing: this has tested nothing"
    ResumeStore(folder).save(10**6, {})
    assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]
    assert len(list(folder.iterdir())) == 2


def test_a_checkpoint_is_whole_whenever_its_writer_is_killed(tmp_path, tiny_checkpoint):
    progress, folder = tmp_path / "progress", tmp_path / "checkpoint"
    work = (save_checkpoints_for_ever, folder, progress, tiny_checkpoint)
    for step in kill_at_random_moments(10, progress, *work):
        assert load_checkpoint(folder).manifest.training["step"] >= step


def sums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def fill(store, sizes):
    for step, size in enumerate(sizes, start=1):
        store.save(step, {"step": step, "weights": torch.zeros(size // 4)})


def test_a_state_that_is_too_large_leaves_the_one_before_as_it_was(tmp_path):
    store = ResumeStore(tmp_path / "resume")
    fill(store, [4000, 4000])
    before = sums(store.folder)
    assert end(start(save_beyond_the_limit, store.folder, tmp_path / "outcome")) == 0
    assert "resume state not written (File too large): it needs 0.4 MB in" in (
        tmp_path / "outcome"
    ).read_text(encoding="utf-8")
    assert sums(store.folder) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"only an administrator may mount a file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_state_before_as_it_was(small_disk):
    store = ResumeStore(small_disk / "resume")
    fill(store, [200_000, 200_000, 200_000])
    before = sums(store.folder)
    with pytest.raises(OSError, match=r"No space left .* needs 0\.8 MB in .*, 0\.\d MB are free"):
        store.save(4, {"weights": torch.zeros(200_000)})
    assert sums(store.folder) == before
    assert store.load()[0]["step"] == 3
    store.save(4, {"step": 4})
    assert store.load()[0] == {"step": 4}


def test_content_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    done = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor):
        done.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        sync(descriptor)

    def renamed(path, target):
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    ResumeStore(tmp_path).save(1, {})
    assert done == ["file", "rename", "folder"]
