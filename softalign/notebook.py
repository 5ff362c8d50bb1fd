"""An alignment as HTML inside of somebody else's page."""

from html import escape

from softalign.alignment import Alignment

FRAME_STYLE = "width:100%;border:0;background:#fff;color-scheme:light"
CELL = "padding:2px 6px;text-align:center;color:#000;background:rgba(0,114,178,{weight:.2f})"


def framed(page: str, rows: int) -> str:
    """A whole page of the service in a frame of its own, which can reach nothing around it."""
    height = 320 + 40 * min(rows, 20)
    return (
        f'<iframe sandbox="allow-scripts" title="Alignment" srcdoc="{escape(page)}" '
        f'style="{FRAME_STYLE};height:{height}px"></iframe>'
    )


def table(
    source: str | None, text: str, alignment: Alignment | None, languages: tuple[str, str]
) -> str:
    """Both texts and the weights as a table, without any script."""
    shown = [] if source is None else [_paragraph(source, languages[0])]
    shown.append(_paragraph(text, languages[1]))
    if alignment is not None:
        shown.append(_weights(alignment))
    return "".join(shown)


def _paragraph(text: str, language: str) -> str:
    return (
        f'<p dir="auto" lang="{escape(language)}" style="white-space:pre-wrap">{escape(text)}</p>'
    )


def _weights(alignment: Alignment) -> str:
    heads = "".join(f'<th scope="col">{escape(one.text)}</th>' for one in alignment.source_tokens)
    rows = [
        f'<tr><th scope="row">{escape(token.text)}</th>{"".join(map(_cell, row))}</tr>'
        for token, row in zip(alignment.target_tokens, alignment.weights, strict=True)
    ]
    return f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(weight: float) -> str:
    number = f"{weight:.2f}" if weight >= 0.005 else ""
    return f'<td style="{CELL.format(weight=0.8 * weight)}">{number}</td>'
