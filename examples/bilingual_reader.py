"""Make a page of a text and its translation: `python examples/bilingual_reader.py FILE`.

The page is one file that asks for nothing outside. Point at a word, or go to it with the Tab key,
and its partners in the other language light up; a click or Enter keeps them.
"""

import argparse
import base64
import hashlib
import sys
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Unpack

from softalign import Client, Token, TranslateOptions, Translation

FOLDER = Path(__file__).parent
PAGE = """<!DOCTYPE html>
<html lang="{source_lang}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src {style_hash}; script-src {script_hash}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<main>
{paragraphs}
</main>
<script>{script}</script>
</body>
</html>
"""
PARAGRAPH = """<div class="pair">
<p lang="{source_lang}" dir="auto">{source}</p>
<p lang="{target_lang}" dir="auto">{target}</p>
</div>"""


def reader_page(title: str, translations: list[Translation]) -> str:
    """The page of paragraphs with their translations, in their order."""
    style = (FOLDER / "reader.css").read_text("utf-8")
    script = (FOLDER / "reader.js").read_text("utf-8")
    return PAGE.format(
        title=escape(title),
        source_lang=escape(translations[0].source_lang),
        style=style,
        script=script,
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
        paragraphs="\n".join(map(pair_of_paragraphs, translations)),
    )


def pair_of_paragraphs(translation: Translation) -> str:
    """A paragraph in both languages, each word with the indices of its partners."""
    alignment, source = translation.alignment, translation.source or ""
    partners_of_source: dict[int, list[str]] = {}
    partners_of_target: dict[int, list[str]] = {}
    for link in translation.links:
        partners_of_source.setdefault(link.source_index, []).append(f"t{link.target_index}")
        partners_of_target.setdefault(link.target_index, []).append(f"s{link.source_index}")
    return PARAGRAPH.format(
        source_lang=escape(translation.source_lang),
        target_lang=escape(translation.target_lang),
        source="".join(words(source, alignment.source_tokens, "s", partners_of_source)),
        target="".join(words(translation.text, alignment.target_tokens, "t", partners_of_target)),
    )


def words(
    text: str, tokens: Iterable[Token], side: str, partners: dict[int, list[str]]
) -> Iterator[str]:
    """`text` as HTML, each of its tokens in an element that names itself and its partners."""
    at = 0
    for index, token in enumerate(tokens):
        yield escape(text[at : token.start])
        place = f'data-word="{side}{index}" data-partners="{" ".join(partners.get(index, []))}"'
        focus = ' tabindex="0"' if index in partners else ""
        yield f"<span {place}{focus}>{escape(token.text)}</span>"
        at = token.end
    yield escape(text[at:])


def policy_hash(content: str) -> str:
    """How a content security policy allows this one script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def translate_text(
    client: Client, text: str, **options: Unpack[TranslateOptions]
) -> list[Translation]:
    """The translations of its paragraphs, which are parted by empty lines."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    options["store"] = False
    most = int(client.limits()["max_texts"])
    return [
        translation
        for first in range(0, len(paragraphs), most)
        for translation in client.translate(paragraphs[first : first + most], **options)
    ]


def main() -> None:
    """Write the page of a text file to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path, help="a text file; empty lines part its paragraphs")
    parser.add_argument("--to", default="fr", help="language to translate into")
    parser.add_argument("--title", default="Side by side")
    parser.add_argument("--kind", default="head", help="of alignment: head, or attention")
    parser.add_argument("--address", default="http://127.0.0.1:8000", help="of the service")
    asked = parser.parse_args()
    with Client(asked.address) as client:
        text = asked.text.read_text("utf-8")
        translations = translate_text(client, text, target_lang=asked.to, kind=asked.kind)
    sys.stdout.write(reader_page(asked.title, translations))


if __name__ == "__main__":
    main()
