"""The alignment as one HTML file that asks for nothing else and works from a disk.

Text of the caller only ever becomes the text of an element. The policy in the file's own `meta`
allows nothing but the one script and the one style sheet that stand in it, by their hashes.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from xml.etree.ElementTree import Element, SubElement, tostring

from app.formats.aligned import AlignedSegment, AlignedText, FormatOptions
from app.formats.labels import visible
from app.formats.svg import SMALLEST_DRAWN, draw
from model.words import Token

HINT = (
    "Point at a word, or move to it with the Tab key, and its partners light up by weight. "
    "A click or Enter keeps them, Esc lets them go."
)
_ASSETS = resources.files("app.formats")


def interactive_html(aligned: AlignedText, options: FormatOptions) -> bytes:
    """Both texts, and beside them the picture of `app/formats/svg.py`, linked by the pointer."""
    page = Element("html", {"lang": "en", "data-theme": options.theme})
    title = f"{aligned.source_language} → {aligned.target_language}"
    _head(page, title)
    body = SubElement(page, "body")
    SubElement(body, "h1").text = title
    SubElement(body, "p").text = HINT
    for index, one in enumerate(aligned.segments):
        _section(body, aligned, one, options, index)
    cells = [_cells(one) for one in aligned.segments]
    data = SubElement(body, "script", {"type": "application/json", "id": "cells"})
    data.text = json.dumps(cells, separators=(",", ":"))
    SubElement(body, "script").text = _asset("interactive.js")
    written: bytes = tostring(page, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + written + b"\n"


@functools.cache
def content_security_policy() -> str:
    """What the file may do; a server sends the same as a header."""
    script, style = (_hash(_asset(f"interactive.{ending}")) for ending in ("js", "css"))
    allowed = f"default-src 'none'; script-src {script}; style-src {style}"
    return f"{allowed}; base-uri 'none'; form-action 'none'"


def _head(page: Element, title: str) -> None:
    head = SubElement(page, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    policy = {"http-equiv": "Content-Security-Policy", "content": content_security_policy()}
    SubElement(head, "meta", policy)
    viewport = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    SubElement(head, "meta", viewport)
    SubElement(head, "title").text = f"Alignment {title}"
    SubElement(head, "style").text = _asset("interactive.css")


def _section(
    body: Element, aligned: AlignedText, one: AlignedSegment, options: FormatOptions, index: int
) -> None:
    section = SubElement(body, "section", {"data-segment": str(index)})
    alignment = one.alignment
    SubElement(section, "h2").text = f"Segment {one.segment} · {alignment.kind} · {alignment.level}"
    _text(section, aligned.source, alignment.source, "source", aligned.source_language)
    _text(section, aligned.target, alignment.target, "target", aligned.target_language)
    SubElement(section, "output")
    picture = SubElement(section, "div", {"class": "picture"})
    picture.append(draw(replace(aligned, segments=(one,)), options))


def _text(section: Element, text: str, tokens: tuple[Token, ...], side: str, language: str) -> None:
    paragraph = SubElement(section, "p", {"class": "text", "lang": language, "dir": "auto"})
    before: Element | None = None
    for index, (gap, token) in enumerate(_with_gaps(text, tokens)):
        if before is None:
            paragraph.text = gap
        else:
            before.tail = gap
        attributes = {"class": "token", "data-side": side, "data-index": str(index)}
        attributes |= {"tabindex": "0", "role": "button"}
        before = SubElement(paragraph, "span", attributes)
        before.text = visible(token.text)


def _with_gaps(text: str, tokens: tuple[Token, ...]) -> Iterator[tuple[str, Token]]:
    """Each token with what stands between it and the one before."""
    copied = tokens[0].start if tokens else 0
    for token in tokens:
        yield text[copied : token.start], token
        copied = max(copied, token.end)


def _cells(one: AlignedSegment) -> list[tuple[int, int, float]]:
    return [
        (target, source, round(weight, 4))
        for target, row in enumerate(one.alignment.weights.double().tolist())
        for source, weight in enumerate(row)
        if weight >= SMALLEST_DRAWN
    ]


@functools.cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
