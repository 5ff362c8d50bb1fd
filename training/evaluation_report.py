"""An evaluation as tables for a person."""

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from training.evaluation import CorpusScores, Evaluation
from training.gold import SHIFTS, AlignmentRow, best_row, best_shift
from training.metrics import perplexity


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print all figures; a shift that wins over 0 is impossible to overlook."""
    console.print(_score_table(evaluation))
    overall = evaluation.overall
    console.print(
        f"{overall.sentences} sentences translated in {evaluation.seconds:.1f} s "
        f"({overall.sentences / evaluation.seconds:.1f} a second), beam {evaluation.beam_size}"
    )
    console.print(f"BLEU {overall.scores.signature}", f"chrF {overall.scores.chrf_signature}")
    for folder, rows in evaluation.gold.items():
        console.print(_alignment_table(folder, rows))
        if (shift := best_shift(rows)) != 0:
            console.print(
                Panel(
                    f"Attention fits {folder} better when it is moved by {shift:+d} target "
                    f"tokens: AER {100 * best_row(rows, shift).scores.aer:.1f} against "
                    f"{100 * best_row(rows).scores.aer:.1f}.\n"
                    "Weights and tokens are out of step, or the model has not learned to attend.",
                    title="ALIGNMENTS ARE SHIFTED",
                    style="bold red",
                )
            )


def _score_table(evaluation: Evaluation) -> Table:
    table = Table("pairs", "sentences", "BLEU", "BLEU lower-cased", "chrF", "loss", "perplexity")
    for column in table.columns[1:]:
        column.justify = "right"
    for origin, scores in evaluation.by_origin.items():
        _add_scores(table, origin or "(no origin)", scores)
    _add_scores(table, "all", evaluation.overall)
    return table


def _add_scores(table: Table, name: str, corpus: CorpusScores) -> None:
    scores = corpus.scores
    table.add_row(
        name,
        str(corpus.sentences),
        f"{scores.bleu:.2f}",
        f"{scores.bleu_lowercase:.2f}",
        f"{scores.chrf:.2f}",
        f"{corpus.loss:.3f}",
        f"{perplexity(corpus.loss):.2f}",
    )


def _alignment_table(folder: str, rows: Sequence[AlignmentRow]) -> Table:
    """At shift 0 argmax and all thresholds; at the others only what shows that they are worse."""
    table = Table("links", "shift", "AER", "precision", "recall", title=folder)
    for column in table.columns[1:]:
        column.justify = "right"
    best = best_row(rows)
    for row in rows:
        if row.shift == 0:
            _add_alignment(table, row, "bold" if row == best else "")
    for shift in SHIFTS:
        if shift != 0:
            _add_alignment(table, best_row(rows, shift), "dim")
    return table


def _add_alignment(table: Table, row: AlignmentRow, style: str) -> None:
    name = {"argmax": "argmax", "threshold": "weight ≥ {}", "links": "argmax or weight ≥ {}"}
    scores = row.scores
    table.add_row(
        name[row.rule].format(row.threshold),
        f"{row.shift:+d}",
        *(f"{100 * value:.1f}" for value in (scores.aer, scores.precision, scores.recall)),
        style=style,
    )
