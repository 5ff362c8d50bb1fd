"""How gradients travel, as one HTML page, its plots as SVG files, and all figures as JSON."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from training.textbook.clipping import ClippingRun
from training.textbook.figures import NEUTRAL, Picture, Plot, style
from training.textbook.gradient_flow import Flow, Place
from training.textbook.gradients import Gradients, Network
from training.textbook.page import figure, heading, page, paragraph, table, write_report
from training.textbook.spectrum import Spectrum

PLACES: tuple[Place, ...] = ("encoder", "decoder")
FLOOR = 1e-12
"""Where curves end on logarithmic axes: what is smaller has no influence on any update."""


def write_gradients(gradients: Gradients, folder: Path) -> Path:
    """Write `report.html`, `report.json` and `pictures/*.svg`; returns the page."""
    pictures = draw(gradients)
    parts = [paragraph(summary(gradients), "lead"), heading("Figures"), _table(gradients)]
    parts.append(
        paragraph(
            "Per step: what the norm of ∂loss/∂h is multiplied by from one state to the one "
            "before, in the geometric mean over the distances measured. Singular values are of "
            "the forward encoder's recurrent matrices, over all gates. A state is all that the "
            "cell hands on, so the LSTM's holds its memory c as well.",
            "note",
        )
    )
    for title, picture in pictures.items():
        parts += [heading(title), figure(picture)]
    if gradients.clipping:
        parts.append(_clipping_table(gradients.clipping))
    if gradients.data:
        parts += [heading("Data"), paragraph(gradients.data)]
    html = page(f"How gradients travel, {gradients.title}", parts)
    return write_report(folder, html, list(pictures.values()), gradients.as_dict())


def draw(gradients: Gradients) -> dict[str, Picture]:
    """All plots by the title of their section; those without figures are left out."""
    pictures = {
        "From the end of the sentence to its start": _flows(gradients.networks),
        "Singular values": _spectra(gradients.networks),
    }
    if gradients.scales:
        pictures["Vanishing and exploding"] = _scales(gradients.scales)
    if gradients.shortcuts:
        pictures["The short way that attention opens"] = _shortcuts(gradients.shortcuts)
    if gradients.directions:
        pictures["Two directions, one vector"] = _directions(gradients.directions)
    if gradients.clipping:
        pictures["Clipping"] = _clipping(gradients.clipping)
    return pictures


def summary(gradients: Gradients) -> str:
    """The findings in words, each with its figure."""
    trained = [network for network in gradients.networks if network.trained]
    before = [network for network in gradients.networks if not network.trained]
    sentences = [
        "One step back through the decoder multiplies a gradient by "
        f"{_factors(trained, 'decoder')} after training, and by {_factors(before, 'decoder')} "
        f"before; in the encoder by {_factors(trained, 'encoder')} after training."
    ]
    for run in gradients.clipping:
        end = "the loss was not finite" if run.final_loss is None else f"loss {run.final_loss:.2f}"
        sentences.append(
            f"{run.optimizer} on a network whose gradients explode, {_how(run)}, {run.verdict}: "
            f"{end} after {len(run.losses)} updates."
        )
    return " ".join(sentences)


def _factors(networks: Sequence[Network], place: Place) -> str:
    return ", ".join(
        f"{_flow(network, place).factor:.3f} ({network.label})" for network in networks
    )


def _flow(network: Network, place: str) -> Flow:
    return next(flow for flow in network.flows if flow.place == place)


def _table(gradients: Gradients) -> str:
    columns = [
        "cell",
        "per step, encoder",
        "per step, decoder",
        "smallest singular value",
        "median",
        "largest",
        "above one",
    ]
    rows = [_row(network) for network in gradients.networks]
    if gradients.clipped:
        columns.append("updates clipped")
        for network, row in zip(gradients.networks, rows, strict=True):
            row.append(f"{gradients.clipped[network.label]:.0%}" if network.trained else "–")
    return table(columns, rows)


def _row(network: Network) -> list[str]:
    values = [value for spectrum in network.spectra["encoder"] for value in spectrum.values]
    above = Spectrum("all", values).above_one
    return [
        f"{network.label}, {'after' if network.trained else 'before'} training",
        *(f"{_flow(network, place).factor:.3f}" for place in PLACES),
        f"{min(values):.3f}",
        f"{median(values):.3f}",
        f"{max(values):.3f}",
        f"{above:.0%}",
    ]


def _flows(networks: Sequence[Network]) -> Picture:
    plot = Plot(panels=2)
    labels = list(dict.fromkeys(network.label for network in networks))
    titles = ("encoder, from the whole loss", "decoder, from the last token's loss")
    for axes, place, title in zip(plot.panels, PLACES, titles, strict=True):
        for network in networks:
            look = style(labels.index(network.label), 0 if network.trained else 1)
            time = "after training" if network.trained else "before"
            axes.plot(
                _visible(_flow(network, place).relative),
                **look.as_dict() | {"markevery": 10, "label": f"{network.label}, {time}"},
            )
        axes.set_title(title, loc="left", fontweight="bold")
    _label_distances(plot)
    plot.legend()
    return plot.picture(
        "gradient-flow",
        "Norm of the gradient that reaches a state, relative to the last state's, over the "
        "distance between them: medians over the longest sentences of the validation pairs.",
    )


def _scales(scales: dict[str, Flow]) -> Picture:
    plot = Plot(width=6.4)
    (axes,) = plot.panels
    for number, (label, flow) in enumerate(scales.items()):
        look = style(number).as_dict() | {"markevery": 10, "label": label}
        axes.plot(_visible(flow.relative), **look)
    _label_distances(plot)
    plot.legend(columns=4)
    return plot.picture(
        "vanishing-exploding",
        "The same untrained tanh encoder with every singular value σ of its recurrent matrix at "
        "one value. tanh shrinks what passes through it, so gradients vanish at σ = 1 too, and "
        "explode only where the matrix outweighs it.",
    )


def _shortcuts(shortcuts: dict[str, Flow]) -> Picture:
    plot = Plot(width=6.4)
    (axes,) = plot.panels
    for number, (label, flow) in enumerate(shortcuts.items()):
        # Three cells with the fixed vector, then the same three with attention.
        look = style(number % 3, 1 - number // 3).as_dict() | {"markevery": 10, "label": label}
        axes.plot(_visible(flow.relative), **look)
    _label_distances(plot)
    plot.legend()
    return plot.picture(
        "attention-shortcut",
        "Untrained encoders: with one fixed vector the loss reaches early words only through all "
        "later ones; attention connects it to every word directly.",
    )


def _directions(directions: dict[str, Flow]) -> Picture:
    """Both over the place in a sentence as long as the shortest of those measured."""
    curves = {
        "forward": directions["forward"].relative[::-1],  # distance 0 is the last token
        "backward": directions["backward"].relative,
    }
    plot = Plot(width=6.4)
    (axes,) = plot.panels
    for number, (label, values) in enumerate(curves.items()):
        look = style(number).as_dict() | {"markevery": 5, "label": label}
        axes.plot(range(1, len(values) + 1), _visible(values), **look)
    axes.set_yscale("log")
    axes.set_xlabel("token of the source")
    axes.set_ylabel("gradient norm, last state read = 1")
    plot.legend()
    return plot.picture(
        "two-directions",
        "What reaches the states of an untrained GRU encoder from a loss that knows the source by "
        "one fixed vector, [→h_S; ←h_1]. Each direction forgets where it began, and the two begin "
        "at opposite ends.",
    )


def _label_distances(plot: Plot) -> None:
    for axes in plot.panels:
        axes.set_yscale("log")
        axes.set_xlabel("distance (steps)")
        axes.axhline(1, color=NEUTRAL, linewidth=0.9, linestyle="dotted")
    plot.panels[0].set_ylabel("gradient norm, last state = 1")


def _visible(values: Sequence[float]) -> list[float]:
    return [value if value > FLOOR else float("nan") for value in values]


def _spectra(networks: Sequence[Network]) -> Picture:
    labels = list(dict.fromkeys(network.label for network in networks))
    plot = Plot(panels=len(labels))
    for axes, label in zip(plot.panels, labels, strict=True):
        for network in (network for network in networks if network.label == label):
            for number, spectrum in enumerate(network.spectra["encoder"]):
                look = style(number, 0 if network.trained else 1).as_dict()
                time = "after" if network.trained else "before"
                gate = "the one matrix" if len(network.spectra["encoder"]) == 1 else spectrum.gate
                name = f"{gate}, {time}"
                axes.plot(spectrum.values, **look | {"marker": None, "label": name})
        axes.axhline(1, color=NEUTRAL, linewidth=0.9, linestyle="dotted")
        axes.set_title(label, loc="left", fontweight="bold")
        axes.set_xlabel("rank")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7.5, ncols=2, labelcolor="linecolor", frameon=False)
    plot.panels[0].set_ylabel("singular value")
    return plot.picture(
        "singular-values",
        "Singular values of the forward encoder's recurrent matrices, one curve a gate. At the "
        "start all are one (orthogonal matrices); training spreads them to both sides.",
    )


def _clipping(runs: Sequence[ClippingRun]) -> Picture:
    plot = Plot(panels=2)
    losses, norms = plot.panels
    optimizers = list(dict.fromkeys(run.optimizer for run in runs))
    for run in runs:
        look = style(optimizers.index(run.optimizer), 0 if run.clip_norm else 1).as_dict()
        name = f"{run.optimizer}, {'clipped' if run.clip_norm else 'not clipped'}"
        look |= {"marker": None, "label": name}
        losses.plot(_with_gaps(run.losses), **look)
        norms.plot(_with_gaps(run.norms), **look)
    losses.axhline(runs[0].guess, color=NEUTRAL, linewidth=0.9, linestyle="dotted")
    losses.set_ylim(0, 2 * runs[0].guess)
    losses.set_ylabel("training loss (nats a token)")
    norms.set_ylabel("gradient norm before clipping")
    norms.set_yscale("log")
    for axes in plot.panels:
        axes.set_xlabel("updates")
    plot.legend(columns=2)
    return plot.picture(
        "clipping",
        "A tanh network whose gradients explode (σ = 2), trained from the same start on the same "
        "batches. The dotted line is the loss of guessing all pieces alike; a curve that leaves "
        "through the top or ends early has diverged.",
    )


def _with_gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _how(run: ClippingRun) -> str:
    return f"clipped at {run.clip_norm:g}" if run.clip_norm else "not clipped"


def _clipping_table(runs: Sequence[ClippingRun]) -> str:
    rows = [
        [
            f"{run.optimizer}, {_how(run)}",
            "not finite" if run.final_loss is None else f"{run.final_loss:.2f}",
            f"{run.guess:.2f}",
            f"{max((norm for norm in run.norms if norm is not None), default=0):.3g}",
            f"{run.clipped:.0%}",
            run.verdict,
        ]
        for run in runs
    ]
    columns = ["run", "loss at the end", "of a guess", "largest norm", "updates clipped", ""]
    return table(columns, rows)
