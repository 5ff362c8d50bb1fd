"""Takes the pictures of docs/page.md: `python docs/pictures/take_screenshots.py ADDRESS`."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

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
    picture = Image.open(io.BytesIO(page.screenshot()))
    small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(FOLDER / f"page-{size}-{theme}.png", optimize=True)
    page.close()


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
        browser.close()


if __name__ == "__main__":
    main()
