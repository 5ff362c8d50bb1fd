"""Draws the pictures of docs/api.md: `PYTHONPATH=. python docs/pictures/draw_alignment.py`.

They are of the alignment that the page shows in every other form too; tests hold them to it.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from app.formats.aligned import FormatOptions
from app.formats.png import png
from app.formats.table import choose_format, write
from tests.app.formats.aligned_texts import SMALL

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the three forms, and a picture of the interactive one with a word lit."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("this needs Chromium")
    for name in ("svg", "html"):
        content = write(SMALL, choose_format(name, None), FormatOptions(), max_cells=16)
        (FOLDER / f"alignment.{name}").write_bytes(content)
    # The font of the service alone, so that every machine draws the same.
    (FOLDER / "alignment.png").write_bytes(png(SMALL, FormatOptions(), system_fonts=False))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        page = browser.new_page(viewport={"width": 560, "height": 400})
        page.goto((FOLDER / "alignment.html").as_uri())
        page.locator('[data-side="target"]').nth(1).click()
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        small = picture.quantize(64, dither=Image.Dither.NONE)
        small.save(FOLDER / "alignment-html.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
