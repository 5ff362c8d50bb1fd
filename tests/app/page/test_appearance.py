"""Every visitor can use it: accessibility by axe-core, a phone, both themes, right to left."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.app.page.alignments import alignment, answer, matrix
from tests.app.page.conftest import DESKTOP, PHONE, press, reply

VIEWS = [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")]


def serious(page):
    violations = Axe().run(page).response["violations"]
    return [
        (one["id"], [found["target"] for found in one["nodes"]][:3])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("viewport", "scheme"), VIEWS)
def test_page_has_no_serious_accessibility_fault(open_page, viewport, scheme):
    page = open_page(viewport=viewport, scheme=scheme)
    page.wait_for_selector("#exports button")
    assert serious(page) == []
    page.locator(".target .word").first.click()
    page.locator("#compare").select_option(index=1)
    reply(page, "**/v1/translate", 401, {"code": "unauthorized", "title": "No", "detail": "No"})
    page.locator("#text").fill("I see.")
    page.locator("#translate").click()
    expect(page.locator("#key-request")).to_be_visible()
    assert serious(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_demo_has_no_serious_accessibility_fault(open_page, scheme):
    page = open_page("/page/attention-alignment/demo.html", scheme=scheme)
    page.locator(".target .word").first.click()
    assert serious(page) == []


def test_axe_sees_a_fault_where_there_is_one(open_page):
    page = open_page("/page/attention-alignment/demo.html")
    page.evaluate("document.querySelector('main').append(document.createElement('select'))")
    assert [name for name, _ in serious(page)] == ["select-name"]


def test_nothing_sticks_out_on_a_phone(open_page):
    page = open_page(viewport=PHONE)
    page.wait_for_selector("#exports button")
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= PHONE["width"]
    page.locator("#text").fill("Incomprehensibilities" * 20 + " and a house.")
    press(page, "#translate")
    page.locator("#compare").select_option(index=1)
    expect(page.locator(".panel")).to_have_count(2)
    assert page.evaluate(width) <= PHONE["width"]


def test_matrix_stands_beside_the_texts_or_under_the_one_that_is_touched(open_page):
    wide = open_page()
    wide.wait_for_selector("#exports button")
    lines, pane = wide.locator(".lines").bounding_box(), wide.locator(".pane").bounding_box()
    assert pane["x"] > lines["x"] + lines["width"]
    phone = open_page(viewport=PHONE)
    phone.wait_for_selector("#exports button")
    press(phone, "#examples button:nth-of-type(3)")
    expect(phone.locator(".segment")).to_have_count(3)
    phone.locator(".segment").nth(1).locator(".source .word").first.click()
    second, pane = phone.locator(".segment").nth(1), phone.locator(".pane").bounding_box()
    box, third = second.bounding_box(), phone.locator(".segment").nth(2).bounding_box()
    assert box["y"] + box["height"] <= pane["y"]
    assert pane["y"] + pane["height"] <= third["y"]


def test_right_to_left_languages_read_as_they_should(open_page):
    source, target = "הבית הלבן ישן", "البيت الأبيض قديم"
    page = open_page()
    page.wait_for_selector("#exports button")
    weights = [[0.9, 0.05, 0.0], [0.05, 0.9, 0.0], [0.0, 0.0, 0.95]]
    aligned = alignment(matrix(source, target, source.split(), target.split(), weights))
    reply(page, "**/v1/translate", 200, answer(source, [(target, aligned), (target, aligned)]))
    page.locator("#text").fill(source)
    page.locator("#translate").click()
    expect(page.locator(".source .word")).to_have_text(source.split())
    places = "all => all.map((word) => word.getBoundingClientRect().x)"
    for side in ("source", "target"):
        boxes = page.locator(f".{side} .word").evaluate_all(places)
        assert boxes == sorted(boxes, reverse=True)
    first = page.locator("#alternatives-list button").first
    expect(first.locator("bdi")).to_have_css("direction", "rtl")


def test_motion_is_left_out_where_it_is_not_wanted(open_page, visitor):
    page = open_page()
    page.wait_for_selector("#exports button")
    visitor.page.emulate_media(reduced_motion="reduce")
    expect(page.locator(".word").first).to_have_css("transition-duration", "0s")
    visitor.page.emulate_media(reduced_motion="no-preference")
