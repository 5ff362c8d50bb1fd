"""A laid-out alignment as SVG: text as text, no script, no style sheet, nothing from outside."""

from xml.etree import ElementTree

from app.formats.aligned import AlignedText, FormatOptions
from app.formats.colours import PALETTES, Palette, colour
from app.formats.labels import FONT_FAMILIES, visible
from app.formats.layout import (
    CELL,
    END_LABEL,
    FONT_SIZE,
    GAP,
    LEGEND_WIDTH,
    LINE_HEIGHT,
    MARGIN,
    HeatMap,
    Label,
    Layout,
    axis_captions,
    lay_out,
    more,
)

SMALLEST_DRAWN = 0.005
"""Weights below, which would be 0 % in their tooltip, stay the colour of an empty cell."""

LEGEND_STEPS = 40
CRISP = {"shape-rendering": "crispEdges"}
"""For cells and the lines between them, which run along pixels."""

BASELINE = 4
"""From the middle of a line to its baseline."""

Element = ElementTree.Element


def svg(aligned: AlignedText, options: FormatOptions) -> bytes:
    """The heat maps of all segments as one SVG document."""
    root = draw(aligned, options)
    ElementTree.indent(root, space="")
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def draw(aligned: AlignedText, options: FormatOptions) -> Element:
    """The `svg` element; `data-map`, `data-target` and `data-source` tell scripts what is what."""
    layout = lay_out(aligned, options)
    return _Drawing(aligned, layout, PALETTES[options.theme]).draw()


class _Drawing:
    """Writes the elements of one picture."""

    def __init__(self, aligned: AlignedText, layout: Layout, palette: Palette) -> None:
        self._aligned = aligned
        self._layout = layout
        self._palette = palette

    def draw(self) -> Element:
        layout, palette = self._layout, self._palette
        root = Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": str(layout.width),
                "height": str(layout.height),
                "viewBox": f"0 0 {layout.width} {layout.height}",
                "font-family": FONT_FAMILIES,
                "font-size": str(FONT_SIZE),
                "fill": palette.ink,
                "role": "img",
            },
        )
        _child(root, "title").text = f"Alignment {layout.heading}"
        _rectangle(root, 0, 0, layout.width, layout.height, palette.page)
        _text(root, MARGIN, MARGIN + LINE_HEIGHT - BASELINE, layout.heading, weight="bold")
        for index, one in enumerate(layout.maps):
            self._heat_map(_child(root, "g", {"data-map": str(index)}), one)
        self._legend(root)
        return root

    def _heat_map(self, group: Element, one: HeatMap) -> None:
        _text(group, MARGIN, one.top + LINE_HEIGHT - BASELINE, one.caption, self._palette.muted)
        self._corner(group, one)
        self._columns(group, one)
        self._rows(group, one)
        self._cells(group, one)
        if one.hidden_rows:
            y = one.cells_top + len(one.rows) * CELL + LINE_HEIGHT
            _text(group, one.left - GAP, y, more(one.hidden_rows), self._palette.muted, "end")

    def _corner(self, group: Element, one: HeatMap) -> None:
        columns, rows = axis_captions(self._aligned)
        for caption, y in ((columns, one.cells_top - LINE_HEIGHT), (rows, one.cells_top)):
            _text(group, one.left - GAP, y - BASELINE, caption, self._palette.muted, "end")

    def _columns(self, group: Element, one: HeatMap) -> None:
        language = {"lang": self._aligned.source_language}
        named = _child(group, "g", language)
        for index, label in enumerate(one.columns):
            self._column(named, one, one.left + (index + 0.5) * CELL, label, str(index))
        notes = _child(group, "g", {"fill": self._palette.muted})
        if one.hidden_columns:
            x = one.left + (len(one.columns) + 0.5) * CELL
            _slanted(notes, x, one.cells_top - GAP, more(one.hidden_columns))
        _slanted(notes, one.end_left + CELL / 2, one.cells_top - GAP, END_LABEL)

    def _column(self, named: Element, one: HeatMap, x: float, label: Label, index: str) -> None:
        parent = _labelled(named, label, {"data-source": index})
        if one.upright:
            _text(parent, x, one.cells_top - GAP, label.shown, anchor="middle")
        else:
            _slanted(parent, x, one.cells_top - GAP, label.shown)

    def _rows(self, group: Element, one: HeatMap) -> None:
        named = _child(group, "g", {"lang": self._aligned.target_language, "text-anchor": "end"})
        for index, label in enumerate(one.rows):
            y = one.cells_top + (index + 0.5) * CELL + BASELINE
            parent = _labelled(named, label, {"data-target": str(index)})
            _text(parent, one.left - GAP, y, label.shown)

    def _cells(self, group: Element, one: HeatMap) -> None:
        palette = self._palette
        height = len(one.rows) * CELL
        framed = {"stroke": palette.grid} | CRISP
        for x, columns in ((one.left, one.drawn_columns), (one.end_left, 1)):
            cells = _child(group, "g", framed)
            _rectangle(cells, x, one.cells_top, columns * CELL, height, palette.scale[0])
            _child(cells, "path", {"d": _grid(x, one.cells_top, columns, len(one.rows))})
        for target, (row, end) in enumerate(zip(one.weights, one.end, strict=True)):
            line = _child(group, "g", {"data-target": str(target)} | CRISP)
            y = one.cells_top + target * CELL
            for source, weight in enumerate(row):
                self._cell(line, one.left + source * CELL, y, weight, self._name(one, source))
            self._cell(line, one.end_left, y, end, {"name": "end of the sentence"})
        for target, source in sorted(one.links):
            x, y = one.left + source * CELL, one.cells_top + target * CELL
            place = {"data-target": str(target), "data-source": str(source)}
            self._mark(group, x, y, one.weights[target][source], place)

    def _name(self, one: HeatMap, source: int) -> dict[str, str]:
        if source == len(one.columns):
            return {"name": more(one.hidden_columns)}
        text = one.aligned.alignment.source[source].text
        return {"name": visible(text), "data-source": str(source)}

    def _cell(
        self, line: Element, x: float, y: float, weight: float, named: dict[str, str]
    ) -> None:
        if weight < SMALLEST_DRAWN:
            return
        name = named.pop("name")
        cell = _rectangle(line, x + 0.5, y + 0.5, CELL - 1, CELL - 1, self._colour(weight), named)
        _child(cell, "title").text = f"{name} {100 * weight:.0f} %"

    def _mark(
        self, group: Element, x: float, y: float, weight: float, place: dict[str, str] | None = None
    ) -> None:
        frame = (place or {}) | {
            "stroke": self._palette.mark(weight),
            "stroke-width": "1.5",
            "pointer-events": "none",
        }
        _rectangle(group, x + 2, y + 2, CELL - 4, CELL - 4, "none", frame)

    def _colour(self, weight: float) -> str:
        return colour(self._palette.scale, weight)

    def _legend(self, root: Element) -> None:
        group = _child(root, "g", {"fill": self._palette.muted})
        x, top = MARGIN, self._layout.legend_top
        step = LEGEND_WIDTH / LEGEND_STEPS
        for index in range(LEGEND_STEPS):
            shade = self._colour((index + 0.5) / LEGEND_STEPS)
            _rectangle(group, x + index * step, top, step + 0.5, LINE_HEIGHT, shade)
        frame = {"stroke": self._palette.grid}
        _rectangle(group, x, top, LEGEND_WIDTH, LINE_HEIGHT, "none", frame)
        baseline = top + 2 * LINE_HEIGHT
        _text(group, x, baseline, "0")
        _text(group, x + LEGEND_WIDTH / 2, baseline, "share of attention", anchor="middle")
        _text(group, x + LEGEND_WIDTH, baseline, "1", anchor="end")
        self._mark(group, x, baseline + LINE_HEIGHT / 2 - 2, 0.0)
        _text(group, x + CELL + GAP, baseline + LINE_HEIGHT + BASELINE + 2, "link")


def _labelled(parent: Element, label: Label, attributes: dict[str, str]) -> Element:
    group = _child(parent, "g", attributes)
    if label.tooltip is not None:
        _child(group, "title").text = label.tooltip
    return group


def _slanted(parent: Element, x: float, y: float, text: str) -> None:
    at = f"{_number(x)} {_number(y)}"
    _child(parent, "text", {"transform": f"translate({at}) rotate(-45)"}).text = text


def _text(
    parent: Element,
    x: float,
    y: float,
    text: str,
    fill: str | None = None,
    anchor: str | None = None,
    weight: str | None = None,
) -> None:
    chosen = {"fill": fill, "text-anchor": anchor, "font-weight": weight}
    attributes = {"x": _number(x), "y": _number(y)}
    attributes |= {name: value for name, value in chosen.items() if value is not None}
    _child(parent, "text", attributes).text = text


def _rectangle(
    parent: Element,
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    more_attributes: dict[str, str] | None = None,
) -> Element:
    sizes = {"x": x, "y": y, "width": width, "height": height}
    attributes = {name: _number(value) for name, value in sizes.items()}
    return _child(parent, "rect", attributes | {"fill": fill} | (more_attributes or {}))


def _grid(x: float, y: float, columns: int, rows: int) -> str:
    width, height = columns * CELL, rows * CELL
    vertical = [f"M{_number(x + i * CELL)} {_number(y)}v{height}" for i in range(1, columns)]
    horizontal = [f"M{_number(x)} {_number(y + i * CELL)}h{width}" for i in range(1, rows)]
    return "".join(vertical + horizontal)


def _child(parent: Element, tag: str, attributes: dict[str, str] | None = None) -> Element:
    return ElementTree.SubElement(parent, tag, attributes or {})


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
