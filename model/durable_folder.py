"""Folders that are whole or not there, whatever happens while they are written."""

import os
import shutil
from pathlib import Path


class FolderError(Exception):
    """A folder that cannot be read or written; names it."""


def previous_folder(folder: Path) -> Path:
    """Where a folder steps aside to while it is replaced."""
    return folder.with_name(f".{folder.name}.previous")


def write_folder(folder: Path, contents: dict[str, bytes]) -> None:
    """Replace `folder` by one with these files, durably; FolderError if the disk refuses."""
    writing = folder.with_name(f".{folder.name}.writing")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir()
        for name, data in contents.items():
            _write_synced(writing / name, data)
        _sync_folder(writing)
        _put_in_place(writing, folder)
    except OSError as error:
        shutil.rmtree(writing, ignore_errors=True)
        needed = sum(map(len, contents.values())) / 1e6
        raise FolderError(
            f"{folder}: not written, {error.strerror or error} ({needed:.1f} MB needed"
            f"{_free_space(folder.parent)})"
        ) from error


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(writing: Path, folder: Path) -> None:
    previous = previous_folder(folder)
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
    writing.rename(folder)
    _sync_folder(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _free_space(folder: Path) -> str:
    try:
        return f", {shutil.disk_usage(folder).free / 1e6:.1f} MB free"
    except OSError:
        return ""


def existing_folder(folder: Path) -> Path:
    """The folder, or the one that stepped aside for it; FolderError if there is neither."""
    if not folder.exists() and previous_folder(folder).is_dir():
        return previous_folder(folder)
    if not folder.is_dir():
        raise FolderError(f"{folder}: not a folder")
    return folder
