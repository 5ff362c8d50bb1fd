"""The mean of several checkpoints' weights, as a checkpoint of its own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from model.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from model.manifest import CARD_FILE
from training.card import ALIGNMENTS, METRICS, UNMEASURED, before_limits

INDIFFERENT = ("dropout",)
"""Fields of `ModelConfig` in which the networks may differ: it is not used in translating."""
OF_THE_WEIGHTS = (METRICS, ALIGNMENTS)
"""Sections of a model card that say how well just these weights do."""


def average_checkpoints(folders: Sequence[Path], output: Path) -> None:
    """Write the mean of the weights of the checkpoints in `folders` to `output`, a new folder.

    Only of use for networks that went on from the same weights: a run and the one it began with,
    or several that began alike. Those that learned from other sentences lie around the same
    minimum, and their mean is often better than each on text that none has seen (Wortsman et al.
    2022, "Model soups", section 3). An alignment head reads the weights it was trained on, so the
    mean has none. Its manifest names the checkpoints, and its card is the last one's, without the
    metrics, which are not its own.

    Raises CheckpointError where a checkpoint cannot be read, two do not fit together, fewer than
    two are given, or `output` is there already.
    """
    if len(folders) < 2:
        raise CheckpointError("an average needs two checkpoints or more")
    if output.exists():
        raise CheckpointError(f"{output}: is there already; name a new folder")
    checkpoints = [load_checkpoint(folder) for folder in folders]
    first, last = checkpoints[0], checkpoints[-1]
    for folder, checkpoint in zip(folders, checkpoints, strict=True):
        _check_fits(first, checkpoint, f"{folder} and {folders[0]}")
    weights = [checkpoint.model.state_dict() for checkpoint in checkpoints]
    last.model.load_state_dict(
        {name: torch.stack([one[name] for one in weights]).mean(dim=0) for name in weights[0]}
    )
    manifest = last.manifest
    save_checkpoint(
        output,
        name=output.resolve().name,
        model=last.model,
        source_tokenizer=last.source_tokenizer,
        target_tokenizer=last.target_tokenizer,
        source_language=manifest.source_language,
        target_language=manifest.target_language,
        training=manifest.training | {"average_of": [_label(one) for one in checkpoints]},
        metrics={},
        card=_card((folders[-1] / CARD_FILE).read_text(encoding="utf-8"), checkpoints),
    )


def _label(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.manifest.name} {checkpoint.digest[:12]}"


def _check_fits(first: Checkpoint, other: Checkpoint, which: str) -> None:
    directions = [
        f"{one.manifest.source_language} → {one.manifest.target_language}" for one in (first, other)
    ]
    if directions[0] != directions[1]:
        raise CheckpointError(
            f"{which}: one is {directions[1]} and the other {directions[0]}; only models of one "
            "direction have a mean"
        )
    one, two = asdict(first.manifest.config), asdict(other.manifest.config)
    for name in one:
        if name not in INDIFFERENT and one[name] != two[name]:
            raise CheckpointError(
                f"{which}: {name} is {two[name]!r} in one and {one[name]!r} in the other; only "
                "networks of one shape have a mean"
            )
    for side in ("source", "target"):
        if (
            getattr(first, f"{side}_tokenizer").serialized
            != getattr(other, f"{side}_tokenizer").serialized
        ):
            raise CheckpointError(
                f"{which}: their {side} tokenizers differ; train with tokenizer.take_from"
            )


def _card(card: str, checkpoints: Sequence[Checkpoint]) -> str:
    counts = Counter(map(_label, checkpoints))
    names = ", ".join(
        f"`{name}`" + (f" ({times} times)" if times > 1 else "") for name, times in counts.items()
    )
    note = (
        f"The weights are the mean of those of {names}; what stands above is of the last of them."
        f"{UNMEASURED}"
    )
    # Behind the recipe, which is what it corrects.
    return before_limits(card, note, without=OF_THE_WEIGHTS)
