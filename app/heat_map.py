"""An alignment matrix as text for a terminal."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from app.schemas import DenseMatrix

COLUMN = 2
"""Width of a source token's column, in terminal cells: room for a full-width letter."""

LONGEST_LABEL = 14
"""Letters of a source token that stand above its column."""

WIDEST_NAME = 24
"""Cells of a target token in front of its row."""

_SHADES = " ░▒▓█"
_COLOURS = ("default", "#9ecae1", "#6baed6", "#3182bd", "#08519c")


def heat_map(matrix: DenseMatrix, width: int) -> Iterator[Text]:
    """Lines of at most `width` cells: a row for each target token, source tokens written downwards.

    What is wider than the terminal goes on below, a block of source tokens after the other.
    """
    names = [token.text for token in matrix.target_tokens]
    room = min(WIDEST_NAME, max((cell_len(name) for name in names), default=0))
    columns = max(1, (width - room - 1) // COLUMN)
    for first in range(0, len(matrix.source_tokens), columns):
        if first:
            yield Text()
        labels = [token.text for token in matrix.source_tokens[first : first + columns]]
        yield from _headings(labels, room)
        for name, row in zip(names, matrix.weights, strict=True):
            yield _row(name, row[first : first + columns], room)


def _headings(labels: Sequence[str], room: int) -> Iterator[Text]:
    cut = [
        label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
        for label in labels
    ]
    height = max(map(len, cut))
    for line in range(height):
        letters = (label.rjust(height)[line] for label in cut)
        cells = "".join(set_cell_size(letter, COLUMN) for letter in letters)
        yield Text(" " * (room + 1) + cells.rstrip())


def _row(name: str, weights: Sequence[float], room: int) -> Text:
    line = Text(set_cell_size(name, room) + " ")
    for weight in weights:
        shade = min(len(_SHADES) - 1, int(weight * len(_SHADES)))
        line.append(_SHADES[shade] * COLUMN, style=_COLOURS[shade])
    return line
