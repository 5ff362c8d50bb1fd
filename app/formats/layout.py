"""Where everything of a picture stands: one heat map a segment, below each other.

Rows are target tokens, columns source tokens, both in the order of the text, also where it is
written from right to left. The column after a gap is what each row put on the end of the sentence,
so that all cells of a row add up to one.
"""

import math
from dataclasses import dataclass

from app.formats.aligned import AlignedSegment, AlignedText, FormatOptions
from app.formats.labels import clip, directed, is_right_to_left, text_width, visible
from model.words import Token

FONT_SIZE = 13
LINE_HEIGHT = 16
"""Ascent and descent of the font at `FONT_SIZE`."""
CELL = 24
"""Side of a cell. Labels at 45° are CELL / √2 = 17 apart, more than a line is high."""
MARGIN = 16
GAP = 8
"""Between labels and cells, and before the column of the end."""
LONGEST_LABEL = 150
"""Widest label; what is longer ends in … and is told whole by a tooltip."""
DIAGONAL = math.sqrt(0.5)

BOLD = 1.2
"""How much wider than regular text bold text is, at the most."""

END_LABEL = "end"
"""Stands over what the rows put on the end of the sentence."""
LEVELS = {"word": "words", "piece": "pieces"}


@dataclass(frozen=True, slots=True)
class Label:
    """A token's name beside its row or column."""

    shown: str
    tooltip: str | None
    """The whole token, where only its beginning is shown."""
    width: float


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One segment: its labels, its weights and where its cells begin."""

    aligned: AlignedSegment
    columns: tuple[Label, ...]
    rows: tuple[Label, ...]
    weights: tuple[tuple[float, ...], ...]
    """Drawn rows; a row has the drawn columns and, if some are left out, the sum of those."""
    end: tuple[float, ...]
    links: frozenset[tuple[int, int]]
    """`(target, source)` of the drawn links."""
    hidden_rows: int
    hidden_columns: int
    upright: bool
    """True where every column's label fits above its cell without being turned."""
    caption: str
    left: float
    """x of the first cell."""
    top: float
    """y of the block, its heading included."""

    @property
    def head(self) -> float:
        """Height of the labels above the cells."""
        labels = [*self.columns, _label(END_LABEL)]
        if self.hidden_columns:
            labels.append(_label(more(self.hidden_columns)))
        tallest = max(label.width for label in labels)
        return GAP + math.ceil(tallest * DIAGONAL) + LINE_HEIGHT

    @property
    def cells_top(self) -> float:
        """y of the first cell."""
        return self.top + LINE_HEIGHT + self.head

    @property
    def drawn_columns(self) -> int:
        """Columns of cells, without that of the end."""
        return len(self.columns) + bool(self.hidden_columns)

    @property
    def end_left(self) -> float:
        """x of the column of the end."""
        return self.left + self.drawn_columns * CELL + GAP

    @property
    def right(self) -> float:
        """x that nothing of it passes."""
        slanted = [
            self.left + (index + 0.5) * CELL + label.width * DIAGONAL
            for index, label in enumerate(self.columns)
        ]
        last = self.end_left + CELL / 2 + _label(END_LABEL).width * DIAGONAL + LINE_HEIGHT
        return max([*slanted, last])

    @property
    def bottom(self) -> float:
        """y that nothing of it passes."""
        notes = LINE_HEIGHT if self.hidden_rows else 0
        return self.cells_top + len(self.rows) * CELL + notes + GAP


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole picture."""

    heading: str
    maps: tuple[HeatMap, ...]
    legend_top: float
    width: int
    height: int


LEGEND_WIDTH = 10 * CELL
LEGEND_HEIGHT = 2 * LINE_HEIGHT + CELL + GAP


def more(count: int) -> str:
    """What stands for tokens that are not drawn."""
    return f"+{count} more"


def lay_out(aligned: AlignedText, options: FormatOptions) -> Layout:
    """Place everything; sizes are in pixels of the SVG."""
    heading = f"{aligned.source_language} → {aligned.target_language}"
    top: float = MARGIN + LINE_HEIGHT + GAP
    most = options.max_tokens
    rows = [_labels(one.alignment.target, most) for one in aligned.segments]
    widest = max((label.width for labels in rows for label in labels), default=0.0)
    # Whole numbers, so that cells fall on pixels.
    left = MARGIN + math.ceil(max(widest, _widest_caption(aligned))) + GAP
    maps = []
    for one, labels in zip(aligned.segments, rows, strict=True):
        maps.append(_heat_map(one, labels, options, left, top, alone=len(rows) == 1))
        top = math.ceil(maps[-1].bottom) + MARGIN
    heading_width = text_width(heading, FONT_SIZE) * BOLD
    right = max([LEGEND_WIDTH + left, MARGIN + heading_width, *(one.right for one in maps)])
    return Layout(
        heading=heading,
        maps=tuple(maps),
        legend_top=top,
        width=math.ceil(right + MARGIN),
        height=math.ceil(top + LEGEND_HEIGHT + MARGIN),
    )


def axis_captions(aligned: AlignedText) -> tuple[str, str]:
    """What stands in the corner: the language of the columns, and that of the rows."""
    return f"{aligned.source_language} →", f"{aligned.target_language} ↓"


def _widest_caption(aligned: AlignedText) -> float:
    return max(text_width(caption, FONT_SIZE) for caption in axis_captions(aligned))


def _caption(one: AlignedSegment, *, alone: bool) -> str:
    described = f"{one.alignment.kind} · {LEVELS[one.alignment.level]}"
    return described if alone and one.segment == 0 else f"segment {one.segment} · {described}"


def _heat_map(
    one: AlignedSegment,
    rows: tuple[Label, ...],
    options: FormatOptions,
    left: float,
    top: float,
    *,
    alone: bool,
) -> HeatMap:
    alignment = one.alignment
    columns = _labels(alignment.source, options.max_tokens)
    weights = alignment.weights[: len(rows)].double()
    drawn = weights[:, : len(columns)].tolist()
    hidden_columns = len(alignment.source) - len(columns)
    if hidden_columns:
        rest = weights[:, len(columns) :].sum(dim=1).tolist()
        drawn = [[*row, mass] for row, mass in zip(drawn, rest, strict=True)]
    linked = alignment.links(options.alignment.threshold)
    return HeatMap(
        aligned=one,
        columns=columns,
        rows=rows,
        weights=tuple(map(tuple, drawn)),
        end=tuple(alignment.eos[: len(rows)].double().tolist()),
        links=frozenset(
            (link.target, link.source)
            for link in linked
            if link.target < len(rows) and link.source < len(columns)
        ),
        hidden_rows=len(alignment.target) - len(rows),
        hidden_columns=hidden_columns,
        upright=all(label.width <= CELL - 2 for label in columns),
        caption=_caption(one, alone=alone),
        left=left,
        top=top,
    )


def _labels(tokens: tuple[Token, ...], most: int) -> tuple[Label, ...]:
    right_to_left = is_right_to_left(token.text for token in tokens)
    return tuple(_label(token.text, right_to_left=right_to_left) for token in tokens[:most])


def _label(text: str, *, right_to_left: bool = False) -> Label:
    whole = visible(text)
    clipped = clip(whole, FONT_SIZE, LONGEST_LABEL)
    return Label(
        shown=directed(clipped, right_to_left=right_to_left),
        tooltip=None if clipped == whole else whole,
        width=text_width(clipped, FONT_SIZE),
    )
