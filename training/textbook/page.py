"""One HTML file that needs nothing but itself: no scripts, no fonts, no outside request."""

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from training.resume import write_durably
from training.textbook.figures import Picture, variables

STYLE = """
:root{color-scheme:light dark;--paper:#fdfdfc;--panel:#f3f3f0;--mark:#fff3c4}
@media (prefers-color-scheme:dark){:root{--paper:#161718;--panel:#202224;--mark:#45390f}}
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem 4rem;background:var(--paper);
 color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.15rem;margin:2.6rem 0 .6rem}
p{max-width:46rem}
.lead{background:var(--panel);border-left:4px solid var(--series-0);padding:.8rem 1.1rem;
 max-width:none}
figure{margin:1rem 0 0}
figure svg{max-width:100%;height:auto;font-family:system-ui,sans-serif}
figcaption,.note{color:var(--ink);opacity:.78;font-size:.9rem;max-width:46rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid var(--faint)}
td{white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:.3rem}
th{font-weight:600;vertical-align:bottom}
tr.chosen{background:var(--mark)}
"""


def page(title: str, parts: Sequence[str]) -> str:
    """The whole document from its parts, in order."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{variables(':root')}{STYLE}</style>\n"
        f"</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    """The title of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text; `kind` is a class of the style: `lead` or `note`."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>"


def figure(picture: Picture) -> str:
    """A plot over its caption."""
    caption = escape(picture.caption)
    return f"<figure>{picture.svg}<figcaption>{caption}</figcaption></figure>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], chosen: int | None = None) -> str:
    """Figures to the right of a first column of names; one row may be marked."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = []
    for number, row in enumerate(rows):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        mark = ' class="chosen"' if number == chosen else ""
        lines.append(f"<tr{mark}>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def write_report(
    folder: Path, html: str, pictures: Sequence[Picture], figures: Mapping[str, Any]
) -> Path:
    """Write `report.html`, `report.json` and `pictures/*.svg` into a folder; returns the page."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        path = folder / "pictures" / f"{picture.name}.svg"
        path.write_text(picture.file(), encoding="utf-8")
    text = json.dumps(_finite(figures), indent=1, ensure_ascii=False, allow_nan=False)
    write_durably(folder / "report.json", text.encode())
    write_durably(folder / "report.html", html.encode())
    return folder / "report.html"


def _finite(value: Any) -> Any:  # noqa: ANN401 - walks any nesting of figures
    """JSON has no NaN and no infinity: null stands for both."""
    match value:
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value
