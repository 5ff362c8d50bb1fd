"""An alignment as a table, one line a weight: CSV for spreadsheets, TSV for everything else."""

import csv
import io
from collections.abc import Iterator

from app.formats.aligned import AlignedSegment, AlignedText, FormatOptions
from model.offsets import offset_converter
from model.words import Token

HEADER = (
    *("segment", "level", "kind"),
    *("target_index", "target", "target_start", "target_end"),
    *("source_index", "source", "source_start", "source_end"),
    "weight",
)

_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠'")  # noqa: RUF001 (full-width signs start formulas too)
_TSV_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})

Row = tuple[str, ...]


def comma_separated(aligned: AlignedText, options: FormatOptions) -> bytes:
    """RFC 4180, UTF-8, with a header line.

    No cell starts a formula when a spreadsheet opens the file (OWASP, "CSV Injection"): a text that
    begins with `=`, `+`, `-`, `@` or the like has an apostrophe put before it, and so has one that
    begins with an apostrophe; taking one leading apostrophe away gives the text back exactly.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(HEADER)
    for row in _rows(aligned, options):
        writer.writerow(
            _without_formula(cell) if at in _TEXTS else cell for at, cell in enumerate(row)
        )
    return lines.getvalue().encode()


def tab_separated(aligned: AlignedText, options: FormatOptions) -> bytes:
    r"""IANA's text/tab-separated-values, with a header line; `\t`, `\n`, `\r`, `\\` in a text."""
    lines = ["\t".join(HEADER)]
    lines += [
        "\t".join(cell.translate(_TSV_ESCAPES) for cell in row) for row in _rows(aligned, options)
    ]
    return ("\n".join(lines) + "\n").encode()


_TEXTS = (HEADER.index("target"), HEADER.index("source"))


def _rows(aligned: AlignedText, options: FormatOptions) -> Iterator[Row]:
    """Every weight; after those of a target token, with empty source fields, what EOS got."""
    encoding, decimals = options.alignment.offset_encoding, options.alignment.precision
    at_source = offset_converter(aligned.source, encoding)
    at_target = offset_converter(aligned.target, encoding)

    def cells(index: int, token: Token, *, of_source: bool) -> Row:
        at = at_source if of_source else at_target
        return str(index), token.text, str(at(token.start)), str(at(token.end))

    for one in aligned.segments:
        sources = [cells(i, token, of_source=True) for i, token in enumerate(one.alignment.source)]
        targets = [cells(i, token, of_source=False) for i, token in enumerate(one.alignment.target)]
        yield from _segment_rows(one, sources, targets, decimals)


def _segment_rows(
    one: AlignedSegment, sources: list[Row], targets: list[Row], decimals: int
) -> Iterator[Row]:
    named = (str(one.segment), one.alignment.level, one.alignment.kind)
    weights = one.alignment.weights.double().tolist()
    eos = one.alignment.eos.double().tolist()
    for target, row, mass in zip(targets, weights, eos, strict=True):
        for source, weight in zip(sources, row, strict=True):
            yield *named, *target, *source, _number(weight, decimals)
        yield *named, *target, "", "", "", "", _number(mass, decimals)


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def _without_formula(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
