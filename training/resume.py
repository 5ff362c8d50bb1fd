"""Resume state: everything a later process needs to go on as if nothing had happened.

Each save is one file whose name holds its step and the start of its SHA-256, written beside and
renamed, so a file that can be seen is whole, and a damaged one is noticed.
"""

import hashlib
import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.config import TrainingConfig
from training.fingerprint import differences, fingerprint

NAME = re.compile(r"step-(\d{8})-([0-9a-f]{16})\.pt")
TEMPORARY = ".*.tmp"
"""Names of files that are being written."""

INDIFFERENT = (
    "threads",
    "validate_every_steps",
    "save_every_steps",
    "patience",
    "device",
    "start_from",
    "rank_timeout",
)
"""Settings of `[training]` that may change between a run and its resumption."""


class ResumeError(Exception):
    """Resume state that cannot be used; says which file and what to do."""


@dataclass(frozen=True, slots=True)
class ResumeStore:
    """The resume files of one run folder; the newest `keep` of them stay."""

    folder: Path
    keep: int = 2

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write the state of one step durably, then delete the oldest; OSError if it cannot.

        What processes that were killed while they wrote have left is deleted too.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getbuffer()
        digest = hashlib.sha256(content).hexdigest()[:16]
        path = self.folder / f"step-{step:08d}-{digest}.pt"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_durably(path, content)
        except OSError as error:
            raise OSError(
                error.errno,
                f"resume state not written ({error.strerror}): it needs "
                f"{len(content) / 1e6:.1f} MB in {self.folder}{_free(self.folder)}",
            ) from error
        for old in [*self.files()[self.keep :], *self.folder.glob(TEMPORARY)]:
            old.unlink()
        return path

    def files(self) -> list[Path]:
        """All resume files, the newest step first."""
        if not self.folder.is_dir():
            return []
        files = [path for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(files, reverse=True)

    def load(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest whole state, or None if there is no file; and what was wrong with newer ones.

        Raises ResumeError if there are files and none is whole: starting again at step 0 without
        a word would throw work away.
        """
        complaints = []
        for path in self.files():
            content = path.read_bytes()
            match = NAME.fullmatch(path.name)
            assert match is not None
            if hashlib.sha256(content).hexdigest()[:16] != match[2]:
                complaints.append(f"{path}: damaged (its SHA-256 does not match its name)")
                continue
            state: dict[str, Any] = torch.load(
                io.BytesIO(content), map_location="cpu", weights_only=True
            )
            return state, complaints
        if complaints:
            raise ResumeError(
                "; ".join(complaints) + f"; delete {self.folder} to start again from step 0"
            )
        return None, []


def _free(folder: Path) -> str:
    try:
        return f", {shutil.disk_usage(folder).free / 1e6:.1f} MB are free"
    except OSError:  # it could not even be made
        return ""


def write_durably(path: Path, content: bytes | memoryview) -> None:
    """Write beside, flush to the disk, rename: a reader sees the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_resumable(
    state: dict[str, Any], config: TrainingConfig, components: dict[str, str], world: int = 1
) -> None:
    """Raise ResumeError, with what differs, if `state` is not of this run.

    `world` is the number of processes: with another one, the same training goes on, but not in
    the same bits.
    """
    changes = setting_changes(state["settings"], resumable_settings(config))
    if state["data"] != fingerprint(components):
        changes += differences(state["components"], components)
    if state.get("world", 1) != world:
        changes.append(
            f"processes: {state.get('world', 1)} → {world} (--allow-world-size-change goes on, "
            "though not bit for bit)"
        )
    if changes:
        raise ResumeError(
            "the run folder holds a run with other settings or data:\n  "
            + "\n  ".join(changes)
            + f"\nrestore them, or give this run a folder of its own (run = {str(config.run)!r})"
        )


def resumable_settings(config: TrainingConfig) -> dict[str, Any]:
    """The settings that decide which weights come out, flat, by dotted name."""
    plain = config.as_dict()
    return {
        f"{section}.{name}": value
        for section in ("model", "training")
        for name, value in plain[section].items()
        if name not in INDIFFERENT
    }


def setting_changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line for each setting that differs."""
    return [
        f"{name}: {before.get(name)!r} → {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
