"""Plots as SVG that follow the reader: light or dark, in the reader's own font.

matplotlib draws with colours that stand for roles; in the SVG they become CSS variables, which a
page (or the file itself, when it is a picture of its own) sets for light and for dark. Series
differ in marker and dash too, so that no one needs to see colour.
"""

import io
import re
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT = "#010101", "#010102"
SERIES = tuple(f"#0102{number:02x}" for number in range(6))
NEUTRAL = SERIES[5]
"""The colour of lines that are no series."""
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))

# After Okabe & Ito (2008), safe for the common kinds of colour blindness; darker on white and
# lighter on black than theirs, for contrast.
LIGHT = ("#0072b2", "#c24e00", "#00805d", "#a0408c", "#8a6a00", "#5b5b5b")
DARK = ("#62b8ee", "#ff9a56", "#35d0a0", "#ec9fd8", "#f0cb55", "#c8c8c8")

SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}


@dataclass(frozen=True, slots=True)
class Style:
    """How one series is drawn."""

    colour: str
    dash: object
    marker: str

    def as_dict(self) -> dict[str, Any]:
        """As keyword arguments of `Axes.plot`."""
        return {"color": self.colour, "linestyle": self.dash, "marker": self.marker}


def style(colour: int, dash: int = 0) -> Style:
    """The style of a series; its marker follows from both numbers."""
    return Style(
        SERIES[colour % len(SERIES)],
        DASHES[dash % len(DASHES)],
        MARKERS[(colour + 3 * dash) % len(MARKERS)],
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished plot."""

    name: str
    """Of its file, without ending."""
    caption: str
    svg: str
    """The `<svg>` element, for a page that sets the variables."""

    def file(self) -> str:
        """A complete SVG file that sets them itself."""
        opening, rest = self.svg.split(">", 1)
        opening += ' xmlns="http://www.w3.org/2000/svg"'
        return f'{opening} font-family="sans-serif"><style>{variables("svg")}</style>{rest}\n'


class Plot:
    """Axes side by side under one legend."""

    def __init__(self, *, panels: int = 1, width: float = 8.0, height: float = 3.8) -> None:
        """So many panels, two in a row, `width` and `height` of a row in inches."""
        columns, rows = min(2, panels), -(-panels // 2)
        with rc_context(SETTINGS):
            self._figure = Figure(figsize=(width, height * rows), layout="constrained")
            grid = list(self._figure.subplots(rows, columns, squeeze=False).flat)
        self.panels: list[Axes] = grid[:panels]
        for empty in grid[panels:]:
            empty.remove()

    def legend(self, columns: int = 3) -> None:
        """Put the series of all panels, each once, above them."""
        entries: dict[str, Artist] = {}
        for axes in self.panels:
            handles, labels = axes.get_legend_handles_labels()
            entries.update(zip(labels, handles, strict=True))
        with rc_context(SETTINGS):
            self._figure.legend(
                list(entries.values()),
                list(entries),
                loc="outside upper center",
                ncols=columns,
                handlelength=3.2,
            )

    def picture(self, name: str, caption: str) -> Picture:
        """Draw it."""
        buffer = io.StringIO()
        with rc_context({**SETTINGS, "svg.hashsalt": name}):
            self._figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return Picture(name, caption, _themed(buffer.getvalue(), name, caption))


def variables(selector: str) -> str:
    """CSS that gives the variables their colours, light and dark."""
    light, dark = (
        _declarations("#1c1c1c", "#8a8a8a", LIGHT),
        _declarations("#ececec", "#8f8f8f", DARK),
    )
    return f"{selector}{{{light}}}@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}"


def _declarations(ink: str, faint: str, series: tuple[str, ...]) -> str:
    colours = {"ink": ink, "faint": faint} | {f"series-{n}": c for n, c in enumerate(series)}
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


def _themed(svg: str, name: str, caption: str) -> str:
    """The bare element: no prologue, no metadata, no address, roles for colours."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font: bold ([\d.]+px) [^;\"]*", r"font-size: \1; font-weight: bold", svg)
    roles = {INK: "ink", FAINT: "faint"} | {c: f"series-{n}" for n, c in enumerate(SERIES)}
    for colour, role in roles.items():
        svg = svg.replace(colour, f"var(--{role})")
    svg = _unique_ids(svg, name)
    label = escape(caption, quote=True)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _unique_ids(svg: str, name: str) -> str:
    """matplotlib names groups alike in every figure; a page holds several."""
    prefix = sha256(name.encode()).hexdigest()[:4]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
