"""What it means that a page needs nothing from outside."""

import re
from html.parser import HTMLParser

VOID = {"meta", "path", "use", "rect"}


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in {"href", "src", "srcset"}]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def assert_self_contained(page):
    """Well-formed, without scripts or addresses, every inner reference with its one target."""
    assert "http" not in page
    assert "@import" not in page
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(outline.tags)
    assert all(link.startswith("#") for link in outline.links)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(identifiers)) == len(identifiers)
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)
    assert {first or second for first, second in used} <= set(identifiers)
