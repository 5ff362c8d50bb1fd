"""An evaluation as tables for a person."""

from collections.abc import Sequence
from itertools import chain

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from model.alignment import AlignmentKind
from training.evaluation import CorpusScores, Evaluation
from training.gold import SHIFTS, THRESHOLDS, AlignmentRow, Rule, best_row, best_shift, whose_row
from training.metrics import perplexity

RULES: dict[Rule, str] = {
    "threshold": "weights that reach the threshold",
    "links": "these and the argmax",
    "agreement": "weights on which both sides agree to that degree",
    "both_directions": "the same with the head of the opposite direction",
}
"""The ways to make links that have a threshold, and what the report calls them."""


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print all figures; a shift that wins over 0 is impossible to overlook."""
    console.print(_score_table(evaluation))
    overall, search = evaluation.overall, evaluation.search
    console.print(
        f"{overall.sentences} sentences translated in {evaluation.seconds:.1f} s "
        f"({overall.sentences / evaluation.seconds:.1f} a second), beam {search.beam_size}, "
        f"length penalty {search.length_penalty}, coverage penalty "
        f"{search.coverage_penalty}"
    )
    console.print(f"BLEU {overall.scores.signature}")
    console.print(f"chrF {overall.scores.chrf_signature}")
    kinds: dict[AlignmentKind, dict[str, list[AlignmentRow]]] = {
        "attention": evaluation.gold,
        "head": evaluation.head_gold,
    }
    for kind, gold in kinds.items():
        for folder, rows in gold.items():
            _print_alignments(kind, folder, rows, console)


def _print_alignments(
    kind: AlignmentKind, folder: str, rows: Sequence[AlignmentRow], console: Console
) -> None:
    console.print(_alignment_table(escape(f"{kind}: {folder}"), rows))
    if (shift := best_shift(rows)) != 0:
        console.print(
            Panel(
                f"The {kind} fits {escape(folder)} better when each token has the row of "
                f"{whose_row(shift)}: AER {100 * best_row(rows, shift).scores.aer:.1f} against "
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
        escape(name),
        str(corpus.sentences),
        f"{scores.bleu:.2f}",
        f"{scores.bleu_lowercase:.2f}",
        f"{scores.chrf:.2f}",
        f"{corpus.loss:.3f}",
        f"{perplexity(corpus.loss):.2f}",
    )


def _alignment_table(title: str, rows: Sequence[AlignmentRow]) -> Table:
    """The threshold sweep where attention stands; of the other shifts only the best row."""
    by_key = {(row.rule, row.threshold, row.shift): row for row in rows}
    rules = [rule for rule in RULES if (rule, THRESHOLDS[0], 0) in by_key]
    table = Table("threshold", "shift", *("AER", "precision", "recall") * len(rules), title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    table.caption = "From the left: " + "; ".join(RULES[rule] for rule in rules)
    best = best_row(rows)
    table.add_row("none", "0", "", "", "", *_figures(by_key["argmax", None, 0], best))
    for threshold in THRESHOLDS:
        figures = (_figures(by_key[rule, threshold, 0], best) for rule in rules)
        table.add_row(f"{threshold}", "0", *chain.from_iterable(figures))
    for shift in SHIFTS:
        if shift != 0:
            moved = best_row(rows, shift)
            place = rules.index("links" if moved.rule == "argmax" else moved.rule)
            table.add_row(
                str(moved.threshold or "none"),
                f"{shift:+d}",
                *("", "", "") * place,
                *_figures(moved, best),
                style="dim",
            )
    return table


def _figures(row: AlignmentRow, best: AlignmentRow) -> list[str]:
    figures = [
        f"{100 * value:.1f}" for value in (row.scores.aer, row.scores.precision, row.scores.recall)
    ]
    return [f"[bold]{figure}[/bold]" for figure in figures] if row == best else figures
