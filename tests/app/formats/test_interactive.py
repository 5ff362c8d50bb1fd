import base64
import hashlib
import json
from html.parser import HTMLParser

from app.formats.aligned import FormatOptions
from app.formats.interactive import content_security_policy, interactive_html
from tests.app.formats import aligned_texts as texts


class Page(HTMLParser):
    """Elements with their attributes, and the text in them."""

    def __init__(self, written: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []  # in pieces, as the parser meets them
        self.feed(written.decode())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.elements:
            self.texts.append((self.elements[-1][0], data))

    def scripts(self) -> list[str]:
        whole = "".join(text for tag, text in self.texts if tag == "script").strip()
        data, _, script = whole.partition('"use strict"')
        return [data, '"use strict"' + script]

    def style(self) -> str:
        return "".join(text for tag, text in self.texts if tag == "style")


def page(aligned, **options) -> Page:
    return Page(interactive_html(aligned, FormatOptions(**options)))


def test_text_of_the_caller_is_only_ever_text():
    hostile = "</script><img src=x onerror=alert(1)> \"'<!--"
    found = page(texts.aligned(hostile, hostile))
    assert {tag for tag, _ in found.elements} == {
        *("html", "head", "meta", "title", "style", "body", "h1", "p", "section", "h2", "span"),
        *("output", "div", "svg", "rect", "text", "g", "path", "script"),
    }
    words = [text for _, text in found.texts]
    assert "img" in words
    assert "alert" in words


def test_the_page_allows_its_own_script_and_style_and_nothing_else():
    found = page(texts.SMALL)
    policy = content_security_policy()
    [meta] = [a for tag, a in found.elements if tag == "meta" and "http-equiv" in a]
    assert meta == {"http-equiv": "Content-Security-Policy", "content": policy}
    data, script = found.scripts()
    json.loads(data)
    for text in (script + "\n", found.style()):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_page_asks_for_nothing():
    found = page(texts.EMOJI)
    addresses = {"src", "href", "srcset", "action", "data", "poster", "style"}
    assert not [a for _, a in found.elements if addresses & a.keys()]
    assert "url(" not in found.style()
    assert "@import" not in found.style()


def test_both_texts_stand_in_the_page_with_their_gaps():
    aligned = texts.aligned("The cat,  the dog.", "Le chat et  le chien.")
    found = page(aligned)
    tokens = [a for tag, a in found.elements if tag == "span"]
    assert len(tokens) == len(
        aligned.segments[0].alignment.source + aligned.segments[0].alignment.target
    )
    paragraphs = "".join(text for tag, text in found.texts if tag == "span")
    assert aligned.source in paragraphs
    assert aligned.target in paragraphs


def test_cells_below_half_a_percent_are_left_out():
    weights = [[0.995, 0.004, 0.001]]
    found = page(texts.aligned("a b", "c", weights=weights))
    assert json.loads(found.scripts()[0]) == [[[0, 0, 0.995]]]


def test_each_segment_has_its_own_picture_and_the_theme_is_kept():
    found = page(texts.two_segments(), theme="dark")
    assert sum(tag == "svg" for tag, _ in found.elements) == 2
    assert found.elements[0] == ("html", {"lang": "en", "data-theme": "dark"})
