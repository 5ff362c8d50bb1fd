"""Writes what an evaluation found into the checkpoint that it measured."""

from pathlib import Path
from typing import Any

from model.checkpoint import record_metrics
from model.manifest import CARD_FILE
from training.card import with_metrics
from training.evaluation import CorpusScores, Evaluation


def record(folder: Path, evaluation: Evaluation, pairs: str) -> None:
    """Put loss, BLEU and chrF, also by origin, into manifest and model card; `pairs` names the set.

    An origin's figures are called `bleu_ORIGIN` and so on. Raises CheckpointError where the
    checkpoint in `folder` is not the one that was measured, or cannot be written.
    """
    overall = evaluation.overall
    metrics = _figures("", overall)
    for origin, scores in evaluation.by_origin.items():
        metrics |= _figures(f"_{origin or 'other'}".replace("-", "_"), scores)
    metrics |= {"pairs": overall.sentences, "signature": overall.scores.signature}
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    record_metrics(
        folder,
        metrics,
        card=with_metrics(card, f"on {pairs}, beam {evaluation.search.beam_size}", metrics),
        digest=evaluation.digest,
    )


def _figures(suffix: str, measured: CorpusScores) -> dict[str, Any]:
    scores = measured.scores
    values = {"loss": (measured.loss, 4), "bleu": (scores.bleu, 2), "chrf": (scores.chrf, 2)}
    return {f"{name}{suffix}": round(value, digits) for name, (value, digits) in values.items()}
