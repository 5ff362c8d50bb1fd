"""The page with a real service behind it: translating, looking, keeping, taking away."""

import json

import pytest
from playwright.sync_api import expect

from tests.app.page.conftest import press

PARAGRAPH = "We arrived late.\n\nThe hotel was closed. A woman helped us."


def translate(page, text):
    page.locator("#text").fill(text)
    press(page, "#translate")
    address, _, id = page.url.partition("#")
    return page.request.get(f"{address}v1/translations/{id}").json()


def drawn(page, side, panel=0):
    return page.locator(".panel").nth(panel).locator(f".{side} .word").all_inner_texts()


@pytest.fixture
def kept(visitor):
    """A stored translation to be taken away in one form.

    Opened anew for every form: Chromium lets one visit to a page begin ten downloads and holds
    the eleventh back, whichever form it is.
    """
    page = visitor.visit()
    page.wait_for_selector("#exports button")
    return page


def test_example_is_there_before_anything_is_done(translated):
    text = translated.locator("#text").input_value()
    assert "".join(drawn(translated, "source")) == text.replace(" ", "")
    assert translated.locator(".ribbon").count() > 0
    assert translated.locator("tbody td").count() > 0


def test_text_is_translated_by_the_button(translated):
    answer = translate(translated, "I see a house.")
    assert drawn(translated, "source") == ["I", "see", "a", "house", "."]
    matrix = answer["translations"][0]["alignment"]["segments"][0]
    assert drawn(translated, "target") == [token["text"] for token in matrix["target_tokens"]]
    announced = translated.locator("#announcement").inner_text()
    assert announced == f"Translated: {answer['translations'][0]['text']}".strip()


def test_text_is_translated_by_the_keyboard_alone(translated):
    translated.locator("#text").fill("I see.")
    translated.keyboard.press("Control+Enter")
    expect(translated.locator(".source .word")).to_have_text(["I", "see", "."])


def test_another_example_is_one_click_away(translated):
    press(translated, "#examples button:nth-of-type(3)")
    expect(translated.locator(".segment")).to_have_count(3)


def test_empty_text_is_not_sent(translated):
    asked = []
    translated.on("request", lambda request: asked.append(request.url))
    translated.locator("#text").fill("   ")
    translated.locator("#translate").click()
    assert asked == []


def test_segments_of_a_long_text_have_their_own_matrices(translated):
    answer = translate(translated, PARAGRAPH)
    assert translated.locator(".segment").count() == 3
    translated.locator(".segment").nth(2).locator(".source .word").first.click()
    segment = answer["translations"][0]["alignment"]["segments"][4]
    assert segment["segment"] == 2
    shown = translated.locator("tbody th").all_inner_texts()
    assert shown == [token["text"] for token in segment["target_tokens"]]


def test_pieces_can_be_shown_instead_of_words(translated):
    answer = translate(translated, "We arrived late.")
    translated.get_by_text("Pieces").click()
    pieces = answer["translations"][0]["alignment"]["segments"][1]
    assert pieces["level"] == "piece"
    expect(translated.locator(".source .word")).to_have_count(len(pieces["source_tokens"]))


def test_threshold_hides_ribbons_and_keeps_the_best(translated):
    translated.locator("#threshold").fill("0.02")
    many = translated.locator(".ribbon").count()
    translated.locator("#threshold").fill("1")
    assert translated.locator(".ribbon").count() == len(drawn(translated, "target"))
    assert translated.locator(".ribbon").count() < many
    assert translated.locator("#threshold-shown").inner_text() == "100%"


def test_each_alternative_shows_its_own_matrix(translated):
    answer = translate(translated, "I see a house.")
    best, *others = [answer["translations"][0], *answer["translations"][0]["alternatives"]]
    assert len(others) == 3
    translated.locator("#alternatives-list button").nth(2).click()
    alignment = others[1]["alignment"]["segments"][0]
    assert drawn(translated, "target") == [token["text"] for token in alignment["target_tokens"]]
    pressed = translated.locator("#alternatives-list button[aria-pressed=true]")
    expect(pressed.locator("bdi")).to_have_text(others[1]["text"])
    assert best["score"] >= others[0]["score"]


def test_two_translations_stand_side_by_side_and_light_up_together(translated):
    translate(translated, "I see a house.")
    translated.locator("#compare").select_option(label="the 2nd translation")
    expect(translated.locator(".panel")).to_have_count(2)
    translated.locator(".panel").nth(0).locator(".source .word").nth(3).hover()
    chosen = translated.locator(".panel").nth(1).locator(".word.chosen")
    expect(chosen).to_have_text("house")
    translated.locator("#compare").select_option(label="nothing")
    expect(translated.locator(".panel")).to_have_count(1)


def test_address_of_a_result_shows_it_again(translated):
    answer = translate(translated, PARAGRAPH)
    assert translated.url.endswith(f"#{answer['id']}")
    target = drawn(translated, "target")
    translated.reload()
    translated.wait_for_selector("#exports button")
    assert translated.locator("#text").input_value() == PARAGRAPH
    assert drawn(translated, "target") == target


@pytest.mark.parametrize("unit", ["utf-8", "utf-16", "utf-32"])
def test_result_of_another_program_can_be_opened(open_page, unit):
    page = open_page()
    page.wait_for_selector("#exports button")
    text = "Été 😀 here.\n\nWe see\ta house."
    body = {"text": text, "target_lang": "fr", "alignment": {"offset_encoding": unit}}
    answer = page.request.post(page.url.partition("#")[0] + "v1/translate", data=body).json()
    page = open_page(f"/#{answer['id']}")
    page.wait_for_selector("#exports button")
    assert page.locator("#text").input_value() == text.replace("\t", " ")


def test_a_text_without_a_word_is_shown_as_it_is(translated):
    translate(translated, "😀 ?!")
    expect(translated.locator(".panel .hint").first).to_contain_text("😀 ?!")
    expect(translated.locator("attention-alignment").first).to_be_hidden()


def test_back_goes_to_the_result_before(translated):
    translate(translated, "I see a house.")
    translate(translated, "We arrived late.")
    translated.go_back()
    expect(translated.locator(".source .word").nth(3)).to_have_text("house")
    assert translated.locator("#text").input_value() == "I see a house."


def test_address_of_nothing_is_told_in_a_sentence(open_page):
    page = open_page("/#AAAAAAAAAAAAAAAAAAAAAAAA")
    expect(page.locator("#problem")).to_be_visible()
    assert page.locator("#problem p").inner_text().endswith(".")
    assert page.locator("#result").is_hidden()


def test_result_can_be_deleted_from_the_service(translated):
    answer = translate(translated, "I see a house.")
    address = translated.url
    with translated.expect_response(f"**/v1/translations/{answer['id']}"):
        translated.get_by_role("button", name="Delete from the service").click()
    expect(translated.get_by_role("button", name="Copy address")).to_have_count(0)
    assert "#" not in translated.url
    assert translated.request.get(address.replace("#", "v1/translations/")).status == 404


def test_translation_links_and_address_are_copied(translated):
    answer = translate(translated, "I see a house.")
    clipboard = "navigator.clipboard.readText()"
    translated.get_by_role("button", name="Copy translation").click()
    expect(translated.locator("#announcement")).to_have_text("Translation copied.")
    assert translated.evaluate(clipboard) == answer["translations"][0]["text"]
    translated.get_by_role("button", name="Copy address").click()
    expect(translated.locator("#announcement")).to_have_text("Address copied.")
    assert translated.evaluate(clipboard) == translated.url
    translated.locator("#threshold").fill("1")
    translated.get_by_role("button", name="Copy links").click()
    expect(translated.locator("#announcement")).to_have_text("Links copied, in Pharaoh’s form.")
    weights = answer["translations"][0]["alignment"]["segments"][0]["weights"]
    best = " ".join(f"{row.index(max(row))}-{target}" for target, row in enumerate(weights))
    assert translated.evaluate(clipboard) == best


@pytest.mark.parametrize(
    ("name", "file", "begins"),
    [
        ("JSON", "alignment.json", b'{"version":1'),
        ("Text", "alignment.txt", b""),
        ("CSV", "alignment.csv", b""),
        ("TSV", "alignment.tsv", b""),
        ("Pharaoh", "alignment.pharaoh", b""),
        ("Azure proj", "alignment.proj", b""),
        ("HTML", "alignment.html", b"<!DOCTYPE html>"),
        ("SVG", "alignment.svg", b"<?xml"),
        ("PNG", "alignment.png", b"\x89PNG"),
        ("npy", "alignment.npy", b"\x93NUMPY"),
        ("npz", "alignment.npz", b"PK"),
    ],
)
def test_every_form_can_be_downloaded(kept, name, file, begins):
    with kept.expect_download() as downloading:
        kept.get_by_role("button", name=name, exact=True).click()
    assert downloading.value.suggested_filename == file
    content = downloading.value.path().read_bytes()
    assert content.startswith(begins)
    assert len(content) > 10


def test_form_that_holds_one_matrix_is_not_offered_for_several(translated):
    translate(translated, PARAGRAPH)
    names = translated.locator("#exports button").all_inner_texts()
    assert "npz" in names
    assert "npy" not in names


def test_download_is_of_what_is_shown(translated):
    answer = translate(translated, "I see a house.")
    translated.locator("#alternatives-list button").nth(1).click()
    translated.get_by_text("Pieces").click()
    with translated.expect_download() as downloading:
        translated.get_by_role("button", name="JSON", exact=True).click()
    [segment] = json.loads(downloading.value.path().read_text("utf-8"))["segments"]
    alternative = answer["translations"][0]["alternatives"][0]["alignment"]["segments"][1]
    assert segment["level"] == "piece"
    assert [one["text"] for one in segment["target_tokens"]] == [
        one["text"] for one in alternative["target_tokens"]
    ]


def test_theme_is_chosen_and_remembered(open_page):
    page = open_page(scheme="light")
    page.wait_for_selector("#exports button")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"
    page.evaluate("localStorage.clear()")


def test_page_asks_for_the_weights_only_once(translated):
    asked = []
    translated.on("request", lambda request: asked.append(request.url))
    translated.get_by_text("Pieces").click()
    translated.locator("#threshold").fill("0.5")
    translated.locator("#alternatives-list button").nth(1).click()
    assert asked == []


def test_request_asks_for_both_levels_in_the_units_of_a_browser(translated):
    translated.locator("#text").fill("I see.")
    with translated.expect_request("**/v1/translate") as asked:
        translated.locator("#translate").click()
    body = json.loads(asked.value.post_data)
    assert body["alignment"] == {"level": ["word", "piece"], "offset_encoding": "utf-16"}
    assert body["store"] == "best_effort"
