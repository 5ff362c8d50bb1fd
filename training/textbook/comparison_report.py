"""A comparison as one HTML page, its plots as SVG files, and all figures as JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from training.textbook.figures import NEUTRAL, Picture, Plot, Style, style
from training.textbook.lengths import ALL, LengthScores
from training.textbook.page import figure, heading, page, paragraph, table, write_report
from training.textbook.recommendation import recommended
from training.textbook.results import Comparison, Standing


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write `report.html`, `report.json` and `pictures/*.svg`; returns the page."""
    pictures = draw(comparison)
    return write_report(folder, _page(comparison, pictures), pictures, comparison.as_dict())


def draw(comparison: Comparison) -> list[Picture]:
    """All plots; none if no variant could be trained."""
    if not comparison.standings:
        return []
    styles = _styles(comparison.standings)
    return [
        _losses(comparison, styles),
        _by_length(comparison, styles),
        _speed(comparison, styles),
    ]


def _page(comparison: Comparison, pictures: list[Picture]) -> str:
    parts = [paragraph(comparison.recommendation, "lead")]
    if comparison.standings:
        parts += [heading("Figures"), _table(comparison), paragraph(_legend(comparison), "note")]
    titles = ("Loss", "Quality by length of the source", "Quality and speed")
    for title, picture in zip(titles, pictures, strict=False):
        parts += [heading(title), figure(picture)]
    if comparison.failures:
        rows = [[failure.label, failure.reason] for failure in comparison.failures]
        parts += [heading("Variants that could not be trained"), table(["variant", "why"], rows)]
    if comparison.data:
        parts += [heading("Data"), paragraph(comparison.data)]
    return page(f"Variants compared, {comparison.title}", parts)


def _table(comparison: Comparison) -> str:
    standings = comparison.standings
    slowest = min(s.throughput.tokens_per_second for s in standings)
    columns: dict[str, Callable[[Standing], str]] = {
        "variant": lambda s: s.result.label,
        "parameters": lambda s: f"{s.result.parameters / 1e6:.2f} M",
        "tokens/s": lambda s: f"{s.throughput.tokens_per_second:,.0f}",
        "relative": lambda s: f"{s.throughput.tokens_per_second / slowest:.2f} ×",
        "clipped": lambda s: f"{s.result.clipped:.0%}",
        "loss": lambda s: f"{s.result.loss:.3f}",
        f"seconds to loss {comparison.loss:.2f}": _seconds_to_loss,
        "BLEU": lambda s: f"{s.result.bleu:.2f}",
        "chrF": lambda s: f"{s.result.chrf:.2f}",
        "p": lambda s: "best" if s.p_value is None else f"{s.p_value:.3f}",
    }
    if len({s.result.steps for s in standings}) > 1:
        columns["updates"] = lambda s: f"{s.result.steps:,}"
    if any(s.result.aer is not None for s in standings):
        columns["AER"] = lambda s: "–" if s.result.aer is None else f"{s.result.aer:.1f}"
    rows = [[cell(standing) for cell in columns.values()] for standing in standings]
    return table(list(columns), rows, chosen=standings.index(recommended(standings)))


def _seconds_to_loss(standing: Standing) -> str:
    seconds = standing.seconds_to_loss
    return "never" if seconds is None else f"{seconds:,.0f}"


def _legend(comparison: Comparison) -> str:
    return (
        f"Budget: {comparison.budget}. Speed is in target tokens a second of training, all "
        "variants timed in turn on the same batches, so that a busy machine slows them alike; "
        "seconds are updates at that speed. Loss is in nats a target token over all validation "
        "pairs. p: how often chance alone would part two equally good models by as much as "
        "this one and the best (paired bootstrap). "
        f"BLEU: {comparison.standings[0].result.signature}."
    )


def _styles(standings: list[Standing]) -> dict[str, Style]:
    """Colour says the first varied setting, dash all the others."""
    colours: dict[object, int] = {}
    dashes: dict[tuple[object, ...], int] = {}
    styles = {}
    for standing in standings:
        first, *others = standing.result.choices.values()
        colour = colours.setdefault(first, len(colours))
        dash = dashes.setdefault(tuple(others), len(dashes))
        # The last combination, the richest as people write it, gets the solid line.
        styles[standing.result.label] = (colour, dash)
    return {
        label: style(colour, len(dashes) - 1 - dash) for label, (colour, dash) in styles.items()
    }


def _losses(comparison: Comparison, styles: dict[str, Style]) -> Picture:
    plot = Plot(panels=2)
    by_step, by_time = plot.panels
    for standing in comparison.standings:
        result = standing.result
        losses = [point.validation_loss for point in result.points]
        look = styles[result.label].as_dict() | {"label": result.label}
        steps = [point.step for point in result.points]
        seconds = [step * standing.throughput.seconds_per_update for step in steps]
        by_step.plot(steps, losses, **look)
        by_time.plot(seconds, losses, **look)
    for axes, unit in ((by_step, "updates"), (by_time, "seconds of training")):
        axes.set_xlabel(unit)
        axes.set_xlim(left=0)
        axes.axhline(comparison.loss, color=NEUTRAL, linewidth=0.9, linestyle="dotted")
    by_step.set_ylabel("validation loss (nats a token)")
    plot.legend()
    return plot.picture(
        "loss",
        "Validation loss over updates and over time. The dotted line is the loss at which the "
        f"table compares times, {comparison.loss:.2f}.",
    )


def _by_length(comparison: Comparison, styles: dict[str, Style]) -> Picture:
    by_length = comparison.standings[0].result.by_length
    groups = [group for group, buckets in by_length.items() if buckets]
    plot = Plot(panels=len(groups) + 1)
    for axes, group in zip(plot.panels, [*groups, ALL], strict=True):
        score = "chrF" if axes is plot.panels[-1] else "BLEU"
        for standing in comparison.standings:
            buckets = standing.result.by_length[group]
            scores = [bucket.bleu if score == "BLEU" else bucket.chrf for bucket in buckets]
            label = standing.result.label
            axes.plot(range(len(scores)), scores, **styles[label].as_dict(), label=label)
        _name_buckets(axes, by_length[group])
        axes.set_title(f"{score}, {group}", loc="left", fontweight="bold")
        axes.set_ylim(bottom=0)
    plot.legend()
    more = " Sentences of one origin are alike in kind, whatever their length." * (len(groups) > 1)
    return plot.picture(
        "bleu-by-length",
        "Quality by the length of the source. Where a curve without attention falls away from the "
        "one with it, one vector no longer holds the sentence." + more,
    )


def _name_buckets(axes: Axes, buckets: Sequence[LengthScores]) -> None:
    names = [f"{bucket.label}\n({bucket.sentences})" for bucket in buckets]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("pieces of the source (sentences)")


def _speed(comparison: Comparison, styles: dict[str, Style]) -> Picture:
    plot = Plot(height=3.8, width=6.4)
    (axes,) = plot.panels
    fastest = min(s.throughput.seconds_per_update for s in comparison.standings)
    for standing in comparison.standings:
        label = standing.result.label
        look = styles[label].as_dict() | {"linestyle": "none", "markersize": 8}
        relative = standing.throughput.seconds_per_update / fastest
        axes.plot(relative, standing.result.bleu, **look, label=label)
    axes.set_xlabel("time of one update, the fastest variant's being 1")
    axes.set_ylabel("BLEU")
    axes.set_ylim(bottom=0)
    plot.legend()
    return plot.picture("speed", "What quality costs: BLEU over the time of one training update.")
