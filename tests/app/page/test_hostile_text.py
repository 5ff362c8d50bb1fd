"""Texts that would be markup elsewhere are shown as texts: nothing runs, nothing is fetched."""

import pytest
from playwright.sync_api import expect

from tests.app.page.alignments import alignment, answer, matrix
from tests.app.page.conftest import press, reply

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    '"><iframe src=https://example.com>',
    "{{constructor.constructor('alert(1)')()}}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_translated_as_text(translated, text):
    translated.locator("#text").fill(text)
    press(translated, "#translate")
    shown = "".join(translated.locator(".source .word").all_inner_texts())
    assert shown == text.replace(" ", "")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_answer_is_shown_as_text(open_page, text):
    page = open_page(
        answers=[
            ("**/v1/languages", 200, {"languages": [{"code": text, "targets": [text, "en"]}]}),
            (
                "**/v1/models",
                200,
                {
                    "models": [
                        {
                            "name": name,
                            "source_lang": text,
                            "target_lang": text,
                            "alignment_kinds": ["attention"],
                        }
                        for name in (text, "other")
                    ]
                },
            ),
        ]
    )
    expect(page.locator("#source-language option")).to_have_text([text])
    aligned = alignment(matrix(text, text, [text], [text], [[0.9]]))
    given = answer(text, [(text, aligned), (text, aligned)], model=text)
    given["translations"][0] |= {"source_lang": text, "target_lang": text}
    reply(page, "**/v1/translate", 200, given)
    page.locator("#text").fill(text)
    page.locator("#translate").click()
    expect(page.locator(".target .word")).to_have_text([text])
    expect(page.locator("#alternatives-list bdi").first).to_have_text(text)
    page.locator(".target .word").hover()
    expect(page.locator(".reading")).to_contain_text(text)
    page.locator("#compare").select_option(index=1)
    expect(page.locator(".panel h2").first).to_contain_text(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_problem_is_shown_as_text(translated, text):
    reply(translated, "**/v1/translate", 422, {"code": text, "title": text, "detail": text})
    translated.locator("#text").fill("I see.")
    translated.locator("#translate").click()
    expect(translated.locator("#problem p")).to_contain_text(text)


def test_address_with_markup_asks_for_a_record_only(open_page):
    page = open_page("/#<img src=x onerror=alert(1)>")
    expect(page.locator("#problem")).to_be_visible()
