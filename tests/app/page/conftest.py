"""A real service of the tiny model, and the Chromium of this machine looking at it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

ROOT = Path(__file__).parents[3]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`${event.violatedDirective} violated: ${event.blockedURI} ${event.sample}`));
"""
# A busy machine is no failure.
expect.set_options(timeout=60_000)

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def address(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory):
    """Where `python -m app serve` serves the tiny model."""
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    environment = {
        **os.environ,
        "SOFTALIGN_CHECKPOINTS": str(tiny_checkpoint),
        "SOFTALIGN_THREADS": "1",
        "SOFTALIGN_DATA": str(tmp_path_factory.mktemp("data")),
    }
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            welcome = process.stdout.readline()
            yield welcome.partition(" at ")[2].split()[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium. Closed after each module: its driver keeps an event loop running."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--disable-gpu"], chromium_sandbox=False
        )
        yield browser
        browser.close()


class Visitor:
    """One tab, and what went wrong in it: a new tab for each test would take most of its time."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._address = address
        self.faults: list[str] = []
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        context.add_init_script(REPORT_VIOLATIONS)
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("request", self._watch)
        self.page.on("pageerror", lambda error: self.faults.append(f"thrown: {error}"))
        self.page.on("console", self._listen)
        self.page.on("dialog", self._dismiss)

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((self._address, "data:", "blob:", "about:")):
            self.faults.append(f"asked outside: {request.url}")

    def _listen(self, message: ConsoleMessage) -> None:
        # Chromium logs every answer of 400 and above; those are what some tests are about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def visit(self, path="/", *, answers=(), viewport=DESKTOP, scheme="light") -> Page:
        """Open `path`; `answers` (pattern, status, body) are given in place of the service."""
        self.page.unroute_all()
        self.page.goto("about:blank")  # else another fragment of the same address loads nothing
        self.page.set_viewport_size(viewport)
        self.page.emulate_media(color_scheme=scheme)
        for pattern, status, body in answers:
            reply(self.page, pattern, status, body)
        self.page.goto(self._address + path)
        return self.page


def reply(page, pattern, status, body):
    """Answer a request in place of the service: with JSON, or with text as it stands."""
    if isinstance(body, str):
        kind = "text/event-stream" if body.startswith(":") else "text/html"
        page.route(
            pattern, lambda route: route.fulfill(status=status, body=body, content_type=kind)
        )
        return
    kind = "application/json" if status < 400 else "application/problem+json"
    page.route(pattern, lambda route: route.fulfill(status=status, json=body, content_type=kind))


def press(page, selector):
    """Click what translates, and wait until the whole answer is drawn."""
    page.locator(selector).click()
    expect(page.locator("#announcement")).to_contain_text("Translated: ")


@pytest.fixture(scope="module")
def visitor(browser, address):
    return Visitor(browser, address)


@pytest.fixture
def open_page(visitor):
    """Opens pages; whatever a test did, no policy was broken, nobody else asked, nothing thrown."""
    visitor.faults.clear()
    yield visitor.visit
    visitor.page.goto("about:blank")
    assert visitor.faults == []


@pytest.fixture
def translated(open_page):
    """The page with its example translated."""
    page = open_page()
    page.wait_for_selector("#exports button")
    return page
