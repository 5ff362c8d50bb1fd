"""An alignment as text for a terminal: a row for each target token, a block for each weight."""

from collections.abc import Iterator, Sequence

import wcwidth
from rich.text import Text

from app.formats.aligned import AlignedText, FormatOptions
from app.formats.labels import visible
from model.alignment import Alignment

COLUMN = 2
"""Width of a source token's column, in terminal cells: room for a full-width letter."""

LONGEST_LABEL = 14
"""Letters of a source token that stand above its column."""

WIDEST_NAME = 24
"""Cells of a target token in front of its row."""

_SHADES = " ░▒▓█"
_COLOURS = ("default", "#9ecae1", "#6baed6", "#3182bd", "#08519c")


def text_blocks(aligned: AlignedText, options: FormatOptions) -> bytes:
    """The heat maps of all segments in lines of `options.width` cells, without colours."""
    lines: list[str] = []
    for one in aligned.segments:
        if lines:
            lines.append("")
        lines += [line.plain.rstrip() for line in heat_map(one.alignment, options.width)]
    lines += ["", *(line.plain for line in legend(options.width))]
    return ("\n".join(lines) + "\n").encode()


def heat_map(alignment: Alignment, width: int) -> Iterator[Text]:
    """Lines of at most `width` cells; the letters of source tokens are written downwards.

    What is wider than the terminal goes on below, a block of source tokens after the other.
    """
    source = [token.text for token in alignment.source]
    weights: list[list[float]] = alignment.weights.tolist()
    names = [wcwidth.clip(visible(token.text), 0, WIDEST_NAME) for token in alignment.target]
    room = min(max(map(wcwidth.width, names), default=0), max(0, width - 1 - COLUMN))
    columns = max(1, (width - room - 1) // COLUMN)
    for first in range(0, len(source), columns):
        if first:
            yield Text()
        yield from _headings(source[first : first + columns], room)
        for name, row in zip(names, weights, strict=True):
            yield _row(wcwidth.clip(name, 0, room), row[first : first + columns], room)


def legend(width: int) -> Iterator[Text]:
    """What the blocks mean, in lines of at most `width` cells."""
    line, gap = Text("weight:"), " "
    for shade, (block, colour) in enumerate(zip(_SHADES, _COLOURS, strict=True)):
        least = max(0.0, (shade - 0.5) / (len(_SHADES) - 1))
        entry = Text.assemble((f"[{block * COLUMN}]", colour), f" ≥ {least:.3g}")
        if line.cell_len + len(gap) + entry.cell_len > width:
            yield line
            line = entry
        else:
            line.append(gap).append_text(entry)
        gap = "  "
    yield line


def _headings(tokens: Sequence[str], room: int) -> Iterator[Text]:
    labels = [list(wcwidth.iter_graphemes(visible(token))) for token in tokens]
    cut = [
        letters if len(letters) <= LONGEST_LABEL else [*letters[: LONGEST_LABEL - 1], "…"]
        for letters in labels
    ]
    height = max(map(len, cut))
    for line in range(height):
        letters = (
            label[line - height + len(label)] if line >= height - len(label) else ""
            for label in cut
        )
        cells = "".join(
            wcwidth.ljust(wcwidth.clip(letter, 0, COLUMN), COLUMN) for letter in letters
        )
        yield Text(" " * (room + 1) + cells.rstrip())


def _row(name: str, weights: Sequence[float], room: int) -> Text:
    line = Text(wcwidth.ljust(name, room) + " ")
    for weight in weights:
        shade = int(min(1.0, max(0.0, weight)) * (len(_SHADES) - 1) + 0.5)
        line.append(_SHADES[shade] * COLUMN, style=_COLOURS[shade])
    return line
