"""What a manifest says about alignments: error against gold links, for each kind a model has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.alignment import AlignmentKind
from model.alignment_head import AlignmentHead
from model.checkpoint import Checkpoint
from training.gold import (
    AlignmentRow,
    GoldSentence,
    best_row,
    best_shift,
    score_alignments,
    word_weights,
)


def alignment_metrics(
    checkpoint: Checkpoint,
    gold: dict[Path, list[GoldSentence]],
    head: AlignmentHead,
    threshold: float,
) -> dict[AlignmentKind, dict[str, Any]]:
    """`aer`, `precision`, `recall` in percent, `rule`, `threshold`, `shift` and `sets`, by kind.

    Attention is given its best rule and threshold. The head is measured as the service links with
    it, at its own `threshold`, which has not seen these links. `shift` is the one that fits best:
    0, unless weights and tokens are out of step. `sets` holds the AER of each folder, by its
    name.
    """
    return {
        "attention": _of_kind(checkpoint, gold, None, None),
        "head": _of_kind(checkpoint, gold, head, threshold),
    }


def _of_kind(
    checkpoint: Checkpoint,
    gold: dict[Path, list[GoldSentence]],
    head: AlignmentHead | None,
    threshold: float | None,
) -> dict[str, Any]:
    weights = {
        path: list(
            word_weights(
                checkpoint.model,
                checkpoint.source_tokenizer,
                checkpoint.target_tokenizer,
                sentences,
                head,
            )
        )
        for path, sentences in gold.items()
    }
    rows = score_alignments(
        [sentence for of_set in gold.values() for sentence in of_set],
        [item for of_set in weights.values() for item in of_set],
    )
    row = _served(rows, threshold)
    return {
        "aer": 100 * row.scores.aer,
        "precision": 100 * row.scores.precision,
        "recall": 100 * row.scores.recall,
        "rule": row.rule,
        "threshold": row.threshold,
        "shift": best_shift(rows),
        "sets": {
            label: 100
            * _served(score_alignments(gold[path], weights[path]), row.threshold, row).scores.aer
            for path, label in told_apart(list(gold)).items()
        },
    }


def told_apart(paths: Sequence[Path]) -> dict[Path, str]:
    """A label for each path: as few of its last parts as tell them all apart."""
    parts = 1
    while len({path.parts[-parts:] for path in paths}) < len(set(paths)):
        parts += 1
    return {path: "/".join(path.parts[-parts:]) for path in paths}


def _served(
    rows: list[AlignmentRow], threshold: float | None, like: AlignmentRow | None = None
) -> AlignmentRow:
    """The row of the rule of `like` or else of the service at `threshold`, or else the best."""
    if threshold is None and like is None:
        return best_row(rows)
    rule = "agreement" if like is None else like.rule
    [row] = [r for r in rows if (r.rule, r.threshold, r.shift) == (rule, threshold, 0)]
    return row
