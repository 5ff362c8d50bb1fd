"""The page and the model that ships with it."""

import json

import pytest
from playwright.sync_api import expect

from tests.app.page.conftest import Visitor, press


@pytest.fixture
def page(browser, shipped_service):
    visitor = Visitor(browser, shipped_service)
    page = visitor.visit()
    page.wait_for_selector("#exports button")
    page.locator("#text").fill("The black cat sleeps.")
    press(page, "#translate")
    yield page
    page.context.close()
    assert visitor.faults == []


def test_adjectives_light_up_with_theirs(page):
    page.locator(".target .word", has_text="noir").hover()
    read = "all => all.map((word) => Number(word.style.getPropertyValue('--weight')))"
    _, black, *others = page.locator(".source .word").evaluate_all(read)
    assert black > max(others)


def test_the_alignment_head_can_be_seen_and_downloaded(page):
    before = page.url
    page.get_by_text("Alignment head", exact=True).click()
    expect(page.locator("#kind-meaning")).to_contain_text("after the word was chosen")
    expect(page.locator("#problem")).to_be_hidden()
    assert page.url != before
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert json.loads(download.value.path().read_text("utf-8"))["kind"] == "head"
    page.get_by_text("Attention", exact=True).click()
    expect(page.locator("#kind-meaning")).to_contain_text("before it knew")
    page.reload()
    expect(page.locator(".target .word").nth(2)).to_have_text("noir")


def test_both_kinds_stand_side_by_side(page):
    page.locator("#compare").select_option(label="its alignment head")
    expect(page.locator(".panel h2")).to_have_text(
        ["en-fr · best translation · attention", "en-fr · best translation · alignment head"]
    )
