"""The one contract between training and serving: a folder that is complete or is not there.

Nothing in it is code. Every file is read whole, compared with the size and SHA-256 that the
manifest gives, and only then parsed, from the very bytes that were compared. The format is
described in `docs/checkpoints.md`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from model.alignment_head import AlignmentHead
from model.config import ModelConfig
from model.durable_folder import FolderError, existing_folder, write_folder
from model.manifest import CARD_FILE, HEAD_FILE, WEIGHTS_FILE, FileEntry, Manifest, ManifestError
from model.seq2seq import Seq2Seq
from model.shapes_only import shapes_only
from model.tokenizer import Tokenizer, TokenizerError

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Manifest",
    "add_alignment_head",
    "load_checkpoint",
    "save_checkpoint",
]

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20
WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32)

Network = TypeVar("Network", bound=nn.Module)


class CheckpointError(Exception):
    """A checkpoint that cannot be read or written; names the file and the field at fault."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that is ready to translate."""

    manifest: Manifest
    model: Seq2Seq
    """In evaluation mode, float32 whatever the type on disk."""
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    digest: str
    """SHA-256 of the manifest, and through it of every file: equal digests, equal models."""
    alignment_head: AlignmentHead | None = None
    """Likewise; None in a model that has none."""

    @property
    def device(self) -> torch.device:
        """Where the weights are: the CPU, until `model` is moved."""
        return next(self.model.parameters()).device


def save_checkpoint(
    folder: Path,
    *,
    model: Seq2Seq,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    source_language: str,
    target_language: str,
    training: dict[str, Any],
    metrics: dict[str, Any],
    card: str,
    name: str | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a checkpoint so that `folder` holds, at every moment, a complete one or none.

    All is written and synced under a hidden sibling, which is then renamed. A checkpoint that is
    there already steps aside as `.NAME.previous` until the new one is in place; a crash between
    the two leaves that one, and `load_checkpoint(folder)` finds it. The model is called `name`,
    or as the folder, and keeps that name wherever it is copied.
    Raises CheckpointError where a weight is not finite in `dtype` or the disk refuses; whatever
    was in `folder` is then untouched.
    """
    contents = {
        WEIGHTS_FILE: to_safetensors(_weights_to_save(model, dtype)),
        "source.spm": source_tokenizer.serialized,
        CARD_FILE: card.encode(),
    }
    joint = source_tokenizer.serialized == target_tokenizer.serialized
    if not joint:
        contents["target.spm"] = target_tokenizer.serialized
    manifest = Manifest(
        name=name or folder.name,
        source_language=source_language,
        target_language=target_language,
        config=model.config,
        source_tokenizer="source.spm",
        target_tokenizer="source.spm" if joint else "target.spm",
        files={name: _entry(data) for name, data in contents.items()},
        training=training,
        metrics=metrics,
    )
    _write(folder, contents | {MANIFEST_FILE: _manifest_bytes(manifest, folder)})


def add_alignment_head(
    folder: Path,
    head: AlignmentHead,
    *,
    threshold: float,
    metrics: dict[str, Any],
    card: str | None = None,
    digest: str | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Give the checkpoint in `folder` a head, in the place of one that it has already.

    The translator's own files stay byte for byte what they were. `metrics` are added to the
    manifest's, `card` takes the place of the model card. `digest` is that of the checkpoint for
    which all this was made. Written as by `save_checkpoint`. Raises CheckpointError where the
    checkpoint cannot be read or is another one by now, the head does not fit it, a weight is not
    finite in `dtype`, or the disk refuses.
    """
    files = {HEAD_FILE: to_safetensors(_weights_to_save(head, dtype))}
    _rewrite(folder, digest, metrics, card, files, alignment_head=head.config(threshold))


def record_metrics(folder: Path, metrics: dict[str, Any], *, card: str, digest: str) -> None:
    """Add figures to a checkpoint's manifest, with a new card; all as in `add_alignment_head`."""
    _rewrite(folder, digest, metrics, card, {})


def _rewrite(
    folder: Path,
    digest: str | None,
    metrics: dict[str, Any],
    card: str | None,
    files: dict[str, bytes],
    **changes: Any,  # noqa: ANN401 - other fields of the manifest
) -> None:
    checkpoint = load_checkpoint(folder)
    if digest not in (None, checkpoint.digest):
        raise CheckpointError(f"{folder}: holds another checkpoint by now; begin again")
    root = _found(folder)
    before = checkpoint.manifest
    contents = {name: _verified(root, name, entry) for name, entry in before.files.items()} | files
    if card is not None:
        contents[CARD_FILE] = card.encode()
    entries = {name: _entry(data) for name, data in contents.items()}
    after = replace(before, files=entries, metrics=before.metrics | metrics, **changes)
    _alignment_head(contents, after, folder)
    _write(folder, contents | {MANIFEST_FILE: _manifest_bytes(after, folder)})


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    try:
        write_folder(folder, contents)
    except FolderError as error:
        raise CheckpointError(str(error)) from error


def _found(folder: Path) -> Path:
    try:
        return existing_folder(folder).resolve()
    except FolderError as error:
        raise CheckpointError(str(error)) from error


def _manifest_bytes(manifest: Manifest, folder: Path) -> bytes:
    try:
        return manifest.to_json().encode()
    except ManifestError as error:
        raise CheckpointError(f"{folder / MANIFEST_FILE}: {error}") from error


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify a checkpoint; CheckpointError names the file and field that is wrong.

    Checked in this order: path, size, SHA-256, format and fields, names and shapes of weights,
    vocabulary sizes and special ids, and that every weight is finite.
    """
    root = _found(folder)
    text = _read_file(root, MANIFEST_FILE, MAX_MANIFEST_BYTES)
    try:
        manifest = Manifest.from_json(text.decode("utf-8"))
    except (ManifestError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder / MANIFEST_FILE}: {error}") from error
    contents = {name: _verified(root, name, entry) for name, entry in manifest.files.items()}
    _check_joint(contents, manifest, folder)
    checkpoint = Checkpoint(
        manifest=manifest,
        model=_model(contents[WEIGHTS_FILE], manifest.config, folder / WEIGHTS_FILE),
        source_tokenizer=_tokenizer(contents, manifest, "source", folder),
        target_tokenizer=_tokenizer(contents, manifest, "target", folder),
        digest=hashlib.sha256(text).hexdigest(),
        alignment_head=_alignment_head(contents, manifest, folder),
    )
    checkpoint.model.spelling = checkpoint.target_tokenizer.spelling
    return checkpoint


def _entry(data: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Every weight once: tied ones under the first of their names."""
    return dict(model.named_parameters())


def _weights_to_save(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    weights = {}
    for name, weight in _weights(model).items():
        weights[name] = weight.detach().to("cpu", dtype).contiguous()
        if not torch.isfinite(weights[name]).all():
            raise CheckpointError(f"{name}: not finite as {dtype}; nothing was written")
    return weights


def _read_file(root: Path, name: str, limit: int) -> bytes:
    """The bytes of a regular file that lies inside `root`, links followed."""
    path = root / name
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise CheckpointError(f"{path}: a link that leads out of the checkpoint")
    if not resolved.exists():
        raise CheckpointError(f"{path}: missing")
    if not resolved.is_file():
        raise CheckpointError(f"{path}: not a regular file")
    try:
        size = resolved.stat().st_size
        if size > limit:
            raise CheckpointError(f"{path}: size: has {size} bytes, at most {limit} are allowed")
        with resolved.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error


def _verified(root: Path, name: str, entry: FileEntry) -> bytes:
    data = _read_file(root, name, entry.size)
    if len(data) != entry.size:
        raise CheckpointError(
            f"{root / name}: size: has {len(data)} bytes, the manifest says {entry.size}; "
            "it is truncated, copy it again"
        )
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise CheckpointError(
            f"{root / name}: sha256: differs from the manifest's; it is damaged, copy it again"
        )
    return data


def _model(data: bytes, config: ModelConfig, path: Path) -> Seq2Seq:
    return _network(data, partial(Seq2Seq, config), path)


def _alignment_head(
    contents: dict[str, bytes], manifest: Manifest, folder: Path
) -> AlignmentHead | None:
    if manifest.alignment_head is None:
        return None
    if manifest.config.attention == "none":
        raise CheckpointError(
            f"{folder / MANIFEST_FILE}: alignment_head: a network without attention can have none"
        )
    shape = manifest.alignment_head
    make = partial(AlignmentHead, manifest.config, shape.units, shape.refinement_channels)
    return _network(contents[HEAD_FILE], make, folder / HEAD_FILE)


def _network(data: bytes, make: Callable[[], Network], path: Path) -> Network:
    """The network that `make` gives, with the weights of a file, in evaluation mode."""
    try:
        weights = parse_safetensors(data)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
    _check_weights(weights, make, path)
    with torch.random.fork_rng(devices=[]):  # initialisation must not move the caller's generator
        network = make()
    with torch.no_grad():
        for name, parameter in _weights(network).items():
            parameter.copy_(weights[name])
    return network.eval()


def _check_weights(weights: dict[str, Tensor], make: Callable[[], nn.Module], path: Path) -> None:
    """Compare with an empty network, which takes no memory however large a manifest says it is."""
    try:
        with shapes_only():
            wanted = _weights(make())
    except (RuntimeError, OverflowError, TypeError) as error:  # what torch says to absurd sizes
        raise CheckpointError(f"{path}: config: no network can have its sizes") from error
    for problem, names in (
        ("missing", wanted.keys() - weights.keys()),
        ("unknown", weights.keys() - wanted.keys()),
    ):
        if names:
            raise CheckpointError(f"{path}: {min(names)}: {problem} weight")
    for name, weight in weights.items():
        if weight.shape != wanted[name].shape:
            raise CheckpointError(
                f"{path}: {name}: shape is {tuple(weight.shape)}, "
                f"the manifest's config gives {tuple(wanted[name].shape)}"
            )
        if weight.dtype not in WEIGHT_TYPES:
            raise CheckpointError(f"{path}: {name}: type is {weight.dtype}, not a float")
        if not torch.isfinite(weight).all():
            raise CheckpointError(f"{path}: {name}: holds NaN or infinity")


def _check_joint(contents: dict[str, bytes], manifest: Manifest, folder: Path) -> None:
    joint = contents[manifest.source_tokenizer] == contents[manifest.target_tokenizer]
    if manifest.config.share_embeddings and not joint:
        raise CheckpointError(
            f"{folder / MANIFEST_FILE}: target_tokenizer: differs from source_tokenizer, "
            "but config.share_embeddings needs one joint vocabulary"
        )


def _tokenizer(
    contents: dict[str, bytes], manifest: Manifest, side: str, folder: Path
) -> Tokenizer:
    file: str = getattr(manifest, f"{side}_tokenizer")
    try:
        tokenizer = Tokenizer(contents[file])
    except TokenizerError as error:
        raise CheckpointError(f"{folder / file}: {error}") from error
    expected = {
        f"{side}_vocabulary_size": tokenizer.size,
        "pad_id": tokenizer.pad_id,
        "unk_id": tokenizer.unk_id,
        "bos_id": tokenizer.bos_id,
        "eos_id": tokenizer.eos_id,
    }
    for field, value in expected.items():
        if getattr(manifest.config, field) != value:
            raise CheckpointError(
                f"{folder / file}: {field}: the tokenizer has {value}, the manifest's config "
                f"{getattr(manifest.config, field)}"
            )
    return tokenizer
