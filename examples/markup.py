"""Translate a paragraph of HTML: `python examples/markup.py '<p>The <b>cat</b> sleeps.</p>'`.

Inline elements land on the words that were made from theirs, with their attributes, also where
these words have moved apart. Nesting holds.
"""

import argparse
import sys
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from itertools import takewhile
from typing import Unpack

from softalign import Client, TranslateOptions, Translation

INLINE = frozenset(
    {"a", "abbr", "b", "cite", "code", "em", "i", "mark", "q", "span", "strong", "u"}
)


@dataclass
class Element:
    """An inline element: its tags, and which part of the text it holds."""

    opening: str
    closing: str
    start: int
    end: int = 0


@dataclass
class Paragraph(HTMLParser):
    """The text of a paragraph, and the inline elements in it, outer ones first."""

    before: str = ""
    text: str = ""
    after: str = ""
    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        """As HTMLParser is set up."""
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Keep the tag; raises ValueError inside of the text for one that is no inline element."""
        opening = self.get_starttag_text() or ""
        if tag in INLINE:
            element = Element(opening, f"</{tag}>", len(self.text))
            self.elements.append(element)
            self._open.append(element)
        elif self.text:
            raise ValueError(f"{opening} inside of a paragraph: send its paragraphs one by one")
        else:
            self.before += opening

    def handle_endtag(self, tag: str) -> None:
        """End the innermost element of that name."""
        if tag not in INLINE:
            self.after += f"</{tag}>"
            return
        for element in reversed(self._open):
            if element.closing == f"</{tag}>":
                element.end = len(self.text)
                self._open.remove(element)
                return

    def close(self) -> None:
        """End what was left open."""
        super().close()
        for element in self._open:
            element.end = len(self.text)

    def handle_data(self, data: str) -> None:
        """Take text in."""
        self.text += data


def carry_over(paragraph: Paragraph, translation: Translation) -> str:
    """The translation, with the elements of `paragraph` around the words made from theirs."""
    around: dict[int, list[Element]] = {}
    for element in paragraph.elements:
        for token in translation.alignment.targets_of(element.start, element.end):
            around.setdefault(token.start, []).append(element)
    html, at, now = "", 0, list[Element]()
    for token in translation.alignment.target_tokens:
        wanted = around.get(token.start, [])
        kept = shared_beginning(now, wanted)
        html += "".join(element.closing for element in reversed(now[kept:]))
        html += escape(translation.text[at : token.start], quote=False)
        html += "".join(element.opening for element in wanted[kept:])
        html += escape(token.text, quote=False)
        at, now = token.end, wanted
    html += "".join(element.closing for element in reversed(now))
    return html + escape(translation.text[at:], quote=False)


def shared_beginning(one: list[Element], other: list[Element]) -> int:
    """How many elements both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(one, other, strict=False)))


def translate_paragraph(client: Client, html: str, **options: Unpack[TranslateOptions]) -> str:
    """`html` in another language; raises ValueError for more than one paragraph."""
    paragraph = Paragraph()
    paragraph.feed(html)
    paragraph.close()
    options["store"] = False
    translation = client.translate(paragraph.text, **options)
    return paragraph.before + carry_over(paragraph, translation) + paragraph.after


def main() -> None:
    """Translate an argument to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", help="a paragraph of HTML")
    parser.add_argument("--to", default="fr", help="language to translate into")
    parser.add_argument("--kind", default="head", help="of alignment: head, or attention")
    parser.add_argument("--address", default="http://127.0.0.1:8000", help="of the service")
    asked = parser.parse_args()
    with Client(asked.address) as client:
        try:
            print(translate_paragraph(client, asked.html, target_lang=asked.to, kind=asked.kind))
        except ValueError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
