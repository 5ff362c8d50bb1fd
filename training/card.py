"""The model card that travels with a checkpoint."""

import re
from collections.abc import Mapping
from typing import Any

from training.config import TrainerConfig, TrainingConfig
from training.prepare import Prepared


def model_card(
    config: TrainingConfig,
    prepared: Prepared,
    metrics: Mapping[str, Any],
    started_from: str | None = None,
) -> str:
    """Markdown: what the model is, what it learned from, how, and how well it does.

    `started_from` names the checkpoint whose weights it began with.
    """
    data, model, training = config.data, config.model, config.training
    report = prepared.reports["train"]
    card = config.card
    budget = (
        f"{training.max_steps} updates" if training.max_steps else f"{training.max_epochs} epochs"
    )
    lines = [
        f"# {data.source_language} → {data.target_language}",
        "",
        f"Attention translator (Bahdanau et al. 2015) with {model.cell.upper()} cells: a "
        f"bidirectional encoder of 2 × {model.encoder_units} units, a decoder of "
        f"{model.decoder_units}, attention `{model.attention}` with the "
        f"`{model.attention_query}` query.",
        "",
        "## Data",
        "",
        card.data or "Not stated by whoever trained it.",
        "",
        f"{report['kept']:,} of {report['read']:,} pairs were kept by cleaning."
        f"{_added(report.get('added', 0), report.get('repeated', 0))}",
        "",
        f"Licence and attribution: {card.licence or 'not stated.'}",
        "",
        "## Recipe",
        "",
        f"{config.tokenizer.vocabulary_size:,} sentencepiece pieces with byte fallback, "
        f"{budget} of at most {training.max_batch_tokens:,} padded tokens a batch, "
        f"AdamW at {training.learning_rate:g} with {training.warmup_steps} warm-up steps and "
        f"{training.decay} decay, dropout {model.dropout:g}, label smoothing "
        f"{training.label_smoothing:g}, gradients clipped at {training.clip_norm:g}, "
        f"weights averaged with decay {training.ema_decay:g}."
        f"{_joined(training)}{_started(started_from)}",
        "",
        *_metrics("on the validation pairs", metrics),
        "",
        LIMITS,
        "",
        card.limits or "Not stated by whoever trained it.",
    ]
    return "\n".join(lines) + "\n"


def _added(made_up: int, repeated: int) -> str:
    """What `made_up_names` and `rare_names` added; corpora prepared before those may not say."""
    facts = (
        (made_up, "are versions of those with made-up names and numbers"),
        (repeated, "repeat those with rare names that the other language writes otherwise"),
    )
    return "".join(f" Further {count:,} {what}." for count, what in facts if count)


def _joined(training: TrainerConfig) -> str:
    if not training.joined_share:
        return ""
    return (
        f" In every epoch {training.joined_share:.0%} of the pairs were joined at random to "
        f"examples of up to {training.joined_pieces} pieces."
    )


def _started(started_from: str | None) -> str:
    return f" It began with the weights of `{started_from}`." if started_from else ""


METRICS = "## Metrics"
LIMITS = "## Limits"
ALIGNMENTS = "## Alignments"
UNMEASURED = " The mean is not measured yet: `python -m training evaluate --record`."
"""What the card of an average says until it is."""


def with_metrics(card: str, pairs: str, metrics: Mapping[str, Any]) -> str:
    """The card with other metrics, on what `pairs` says, before its limits."""
    return before_limits(
        card.replace(UNMEASURED, ""), "\n".join(_metrics(pairs, metrics)), without=(METRICS,)
    )


def before_limits(card: str, text: str, *, without: tuple[str, ...]) -> str:
    """The card with `text` before its limits, and no section with a heading of `without`."""
    sections = [
        section.rstrip()
        for section in re.split(r"^(?=## )", card, flags=re.MULTILINE)
        if not section.startswith(without)
    ]
    place = next((i for i, one in enumerate(sections) if one.startswith(LIMITS)), len(sections))
    return "\n\n".join([*sections[:place], text, *sections[place:]]) + "\n"


def with_alignments(card: str, metrics: Mapping[str, Any]) -> str:
    """The card with a last section on the alignment head, in the place of one that is there."""
    card = card.split(ALIGNMENTS)[0].rstrip("\n")
    lines = [
        "An alignment head, trained on the links of a statistical aligner, tells the source words "
        "of each target word once it is known; it changes no translation.",
        "",
        f"Error against held-out links of that aligner, between words: "
        f"{metrics['head_silver_aer']:.1f} %.",
    ]
    if "alignment" in metrics:
        lines += ["", "| kind | gold links | AER, % |", "|---|---|---|"]
        lines += [
            f"| {kind} | {name} | {aer:.1f} |"
            for kind, scores in metrics["alignment"].items()
            for name, aer in scores["sets"].items()
        ]
    return "\n".join([card, "", ALIGNMENTS, "", *lines]) + "\n"


def _metrics(pairs: str, metrics: Mapping[str, Any]) -> list[str]:
    rows = (f"| {name} | {_in_cell(value)} |" for name, value in metrics.items())
    return [METRICS, "", f"| {_in_cell(pairs)} | |", "|---|---|", *rows]


def _in_cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("|", "\\|")
