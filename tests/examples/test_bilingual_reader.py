import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from examples.bilingual_reader import reader_page, translate_text
from softalign import Client
from tests.app.page.conftest import PROGRAMS
from tests.examples.aligned import aligned

STORY = Path(__file__).parents[2] / "examples" / "story.en.txt"


def test_paragraphs_are_translated_in_their_order(shipped_service):
    with Client(shipped_service) as client:
        made = translate_text(client, STORY.read_text("utf-8"), target_lang="fr", kind="head")
    assert [one.source.partition(" ")[0] for one in made] == ["The", "My", "Where"]
    assert "Le chat noir dort" in made[0].text
    page = reader_page("A story", made)
    assert page.count('<div class="pair">') == 3


def test_words_name_each_other():
    page = reader_page("t", [aligned("black cat", "chat noir", "0-1 1-0")])
    assert re.findall(r'data-word="(\w+)" data-partners="(\w+)" tabindex="0">(\w+)<', page) == [
        ("s0", "t1", "black"),
        ("s1", "t0", "cat"),
        ("t0", "s1", "chat"),
        ("t1", "s0", "noir"),
    ]


def test_text_stays_text():
    hostile = '<img src=x onerror="alert(1)">'
    page = reader_page(hostile, [aligned(f"{hostile} & a", "x", "0-0")])
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.fixture
def page():
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--disable-gpu"], chromium_sandbox=False
        )
        yield browser.new_page()
        browser.close()


def test_a_word_lights_its_partners_in_a_browser(page, tmp_path):
    file = tmp_path / "reader.html"
    translations = [aligned("black cat", "chat noir", "0-1 1-0"), aligned("yes", "oui", "0-0")]
    file.write_text(reader_page("t", translations), "utf-8")
    faults = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(file.as_uri())
    lit = page.locator(".partner")
    page.get_by_text("black").hover()
    assert lit.all_text_contents() == ["noir"]
    page.get_by_text("oui").click()
    page.mouse.move(0, 0)
    assert lit.all_text_contents() == ["yes"]
    page.keyboard.press("Escape")
    assert lit.all_text_contents() == []
    page.keyboard.press("Shift+Tab")
    assert lit.all_text_contents() == ["oui"]
    assert faults == []
