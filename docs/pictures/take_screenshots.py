"""Takes the pictures of docs/page.md and of the reader in examples/README.md.

python docs/pictures/take_screenshots.py ADDRESS
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from examples.bilingual_reader import reader_page, translate_text
from softalign import Client

FOLDER = Path(__file__).parent
SIZES = {"desktop": {"width": 1280, "height": 980}, "phone": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
WORD = 2
"""Index of the target word that is lit: an adjective that changed its place."""


def take(browser: Browser, address: str, size: str, theme: str) -> None:
    """One picture of the page, with a word of the example's translation lit."""
    page = browser.new_page(viewport=SIZES[size], color_scheme=theme)
    page.goto(address)
    page.wait_for_selector("#exports button")
    page.locator(".target .word").nth(WORD).click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # colours fade in
    save(page.screenshot(), f"page-{size}-{theme}.png")
    page.close()


def take_reader(browser: Browser, address: str) -> None:
    """The page that `examples/bilingual_reader.py` makes, with a word lit."""
    examples = FOLDER.parents[1] / "examples"
    with Client(address) as client:
        story = (examples / "story.en.txt").read_text("utf-8")
        translations = translate_text(client, story, target_lang="fr", kind="head")
    page = browser.new_page(viewport={"width": 1000, "height": 400})
    page.set_content(reader_page("Side by side", translations))
    page.get_by_text("red", exact=True).click()
    save(page.screenshot(), "reader.png")
    page.close()


def save(screenshot: bytes, name: str) -> None:
    """Write a picture with few colours, and so few bytes."""
    picture = Image.open(io.BytesIO(screenshot))
    small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(FOLDER / name, optimize=True)


def main() -> None:
    """Take them all."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if len(sys.argv) != 2 or program is None:
        sys.exit("usage: take_screenshots.py ADDRESS, on a machine with Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        for size in SIZES:
            for theme in THEMES:
                take(browser, sys.argv[1], size, theme)
        take_reader(browser, sys.argv[1])
        browser.close()


if __name__ == "__main__":
    main()
