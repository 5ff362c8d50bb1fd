"""What the page makes of answers that a tiny model cannot give."""

import json

import pytest
from playwright.sync_api import expect

from tests.app.page.alignments import (
    HOUSE,
    HOUSES,
    OTHER_HOUSE,
    SOURCE,
    TARGET,
    WEIGHTS,
    WORDS,
    alignment,
    answer,
    matrix,
    tokens,
)
from tests.app.page.conftest import press, reply

TRANSLATE = "**/v1/translate"


def models(*names, kinds=("attention",), source="en", target="fr"):
    return [
        {"name": name, "source_lang": source, "target_lang": target, "alignment_kinds": [*kinds]}
        for name in names
    ]


def problem(code, title, detail, status=422):
    return {"code": code, "title": title, "detail": detail, "status": status, "errors": []}


def translate(page, text=SOURCE):
    page.locator("#text").fill(text)
    page.locator("#translate").click()


def told(page):
    expect(page.locator("#problem")).to_be_visible()
    return page.locator("#problem p").inner_text()


def test_error_of_the_service_is_told_as_a_sentence(translated):
    detail = "The value must be at most 8. (at /decoding/beam_size)"
    body = problem("limit_exceeded", "An option is above its limit", detail)
    reply(translated, TRANSLATE, 422, body)
    translate(translated)
    assert told(translated) == "An option is above its limit. The value must be at most 8."
    expect(translated.locator("#key-request")).to_be_hidden()


def test_text_that_is_too_long_is_counted_and_refused(translated):
    translate(translated, "word " * 500)
    assert "2000" in told(translated)
    assert translated.locator("#count").inner_text() == "2500 of 2000 characters"


def test_full_service_says_when_to_come_back_and_can_be_asked_again(translated):
    body = json.dumps(problem("overloaded", "The service is full", "Too many requests wait.", 503))
    translated.route(
        TRANSLATE,
        lambda route: route.fulfill(status=503, body=body, headers={"Retry-After": "3"}),
    )
    translate(translated)
    assert told(translated).endswith("Try again in 3 seconds.")
    translated.unroute(TRANSLATE)
    with translated.expect_response(TRANSLATE):
        translated.get_by_role("button", name="Try again").click()
    expect(translated.locator("#problem")).to_be_hidden()


def test_service_that_does_not_answer_is_told(translated):
    translated.route(TRANSLATE, lambda route: route.abort())
    translate(translated)
    assert told(translated).startswith("The service does not answer.")


def test_answer_that_is_no_problem_document_is_told_too(translated):
    reply(translated, TRANSLATE, 502, "<h1>Bad</h1>")
    translate(translated)
    assert told(translated) == "The service answered with the status 502."


def test_key_is_asked_for_and_sent_from_memory(translated):
    body = problem("unauthorized", "A key is needed", "Send a key.", 401)
    reply(translated, TRANSLATE, 401, body)
    translate(translated)
    expect(translated.locator("#key-request")).to_be_visible()
    translated.unroute(TRANSLATE)
    reply(translated, TRANSLATE, 200, HOUSES)
    translated.locator("#key").fill("sa_live_secret")
    with translated.expect_request(TRANSLATE) as asked:
        translated.get_by_role("button", name="Use it").click()
    assert asked.value.headers["authorization"] == "Bearer sa_live_secret"
    kept = translated.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    assert "secret" not in kept
    assert "secret" not in translated.url
    assert translated.locator("#key").input_value() == ""


def test_translation_can_be_stopped(translated):
    translated.route(TRANSLATE, lambda _: None)  # an answer that never comes
    translate(translated)
    translated.locator("#stop").click()
    expect(translated.locator("#translate")).to_be_enabled()
    expect(translated.locator("#problem")).to_be_hidden()


def test_matrix_that_is_too_large_is_asked_for_sparsely(translated):
    asked = []
    too_large = problem("matrix_too_large", "Too many weights", "Ask for `sparse`.", 413)

    def answer_sparse_only(route):
        body = json.loads(route.request.post_data)
        asked.append(body["alignment"])
        is_sparse = body["alignment"].get("form") == "sparse"
        route.fulfill(status=200 if is_sparse else 413, json=HOUSES if is_sparse else too_large)

    translated.route(TRANSLATE, answer_sparse_only)
    translate(translated)
    expect(translated.locator(".target .word")).to_have_text(["La", "maison", "blanche"])
    assert [one.get("form") for one in asked] == [None, "sparse"]


def test_model_without_attention_says_that_there_is_nothing_to_draw(translated):
    reply(translated, TRANSLATE, 200, answer(SOURCE, [(TARGET, None)]))
    translate(translated)
    expect(translated.locator(".panel .hint")).to_contain_text(TARGET)
    expect(translated.locator("attention-alignment")).to_be_hidden()


def test_translation_that_was_cut_off_is_marked(translated):
    cut = answer(SOURCE, [(TARGET, HOUSE)])
    cut["translations"][0]["finish_reason"] = "length"
    reply(translated, TRANSLATE, 200, cut)
    translate(translated)
    expect(translated.locator(".panel .hint")).to_contain_text("cut off")


def test_swap_turns_the_languages_round(open_page):
    page = open_page(
        answers=[
            (
                "**/v1/languages",
                200,
                {
                    "languages": [
                        {"code": "en", "targets": ["fr"]},
                        {"code": "fr", "targets": ["en"]},
                    ]
                },
            )
        ]
    )
    page.wait_for_selector("#exports button")
    assert page.locator("#source-language option").all_inner_texts() == ["English", "French"]
    page.locator("#swap").click()
    assert page.locator("#source-language").input_value() == "fr"
    assert page.locator("#target-language").input_value() == "en"
    assert page.locator("#examples button").first.inner_text() == "une phrase"


BOTH_WAYS = [{"code": "en", "targets": ["fr"]}, {"code": "fr", "targets": ["en"]}]


def test_the_language_of_a_text_is_detected_and_said(open_page):
    found = answer(SOURCE, [(TARGET, HOUSE)])
    found["translations"][0]["source_lang_detected"] = True
    page = open_page(
        answers=[
            ("**/v1/languages", 200, {"languages": BOTH_WAYS, "detection": True}),
            (TRANSLATE, 200, found),
        ]
    )
    page.wait_for_selector("#exports button")
    source = page.locator("#source-language")
    assert source.locator("option").all_inner_texts() == [
        "English (detected)",
        "English",
        "French",
    ]
    with page.expect_request(TRANSLATE) as asked:
        translate(page)
    body = json.loads(asked.value.post_data)
    assert "source_lang" not in body
    assert body["target_lang"] == "fr"
    page.locator("#swap").click()
    assert (source.input_value(), page.locator("#target-language").input_value()) == ("fr", "en")
    source.select_option("")
    assert source.locator("option").first.inner_text() == "Detect language"
    assert page.locator("#swap").is_disabled()
    assert page.locator("#target-language option").count() == 2


def test_detection_is_not_offered_for_one_language(open_page):
    languages = {"languages": BOTH_WAYS[:1], "detection": True}
    page = open_page(answers=[("**/v1/languages", 200, languages)])
    page.wait_for_selector("#exports button")
    assert page.locator("#source-language option").all_inner_texts() == ["English"]


def test_swap_is_off_where_no_model_goes_back(translated):
    assert translated.locator("#swap").is_disabled()
    assert translated.locator("#model-choice").is_hidden()


def test_one_of_several_models_is_chosen_and_compared_with_another(open_page):
    page = open_page(answers=[("**/v1/models", 200, {"models": models("tiny", "small")})])
    page.wait_for_selector("#exports button")
    reply(page, TRANSLATE, 200, answer(SOURCE, [(TARGET, HOUSE)], model="small"))
    page.locator("#model").select_option("small")
    page.locator("#text").fill(SOURCE)
    with page.expect_request(TRANSLATE) as asked:
        page.locator("#translate").click()
    assert json.loads(asked.value.post_data)["model"] == "small"
    reply(page, TRANSLATE, 200, answer(SOURCE, [("La blanche maison", OTHER_HOUSE)]))
    with page.expect_request(TRANSLATE) as asked:
        page.locator("#compare").select_option(label="the model tiny")
    assert json.loads(asked.value.post_data)["store"] is False
    expect(page.locator(".panel h2")).to_have_text(
        ["small · best translation", "tiny · best translation"]
    )
    expect(page.locator(".panel").nth(1).locator(".target .word").nth(1)).to_have_text("blanche")


HEAD = alignment(matrix(SOURCE, TARGET, *WORDS, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]), kind="head")


@pytest.fixture
def with_head(open_page):
    """The page with a model that has an alignment head, and its answer for the white house."""
    page = open_page()
    document = page.evaluate("fetch('/openapi.json').then((response) => response.json())")
    document["components"]["schemas"]["AlignmentRequest"]["properties"]["kind"] = {}
    page = open_page(
        answers=[
            ("**/openapi.json", 200, document),
            ("**/v1/models", 200, {"models": models("tiny", kinds=("attention", "head"))}),
        ]
    )
    page.wait_for_selector("#exports button")

    def answer_kind(route):
        kind = json.loads(route.request.post_data)["alignment"].get("kind", "attention")
        given = HEAD if kind == "head" else HOUSE
        route.fulfill(status=200, json=answer(SOURCE, [(TARGET, given)], id=None))

    page.route(TRANSLATE, answer_kind)
    translate(page)
    expect(page.locator(".target .word").first).to_have_text("La")
    return page


def test_kind_of_alignment_can_be_changed_and_says_what_it_means(with_head):
    assert with_head.locator("#kind-meaning").inner_text().startswith("Attention: what the network")
    with_head.get_by_text("Alignment head", exact=True).click()
    expect(with_head.locator("#kind-meaning")).to_contain_text("after the word was chosen")
    assert with_head.locator(".ribbon").count() == 3
    assert with_head.locator("td.link").all_inner_texts() == ["100", "100", "100"]


def test_attention_and_head_stand_side_by_side(with_head):
    with_head.locator("#compare").select_option(label="its alignment head")
    expect(with_head.locator(".panel h2")).to_have_text(
        [
            "tiny · best translation · attention",
            "tiny · best translation · alignment head",
        ]
    )


def test_model_with_one_kind_offers_no_choice(translated):
    assert translated.locator("#kinds").is_hidden()
    assert translated.locator("#kind-meaning").is_hidden()


def event(name, data):
    return f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n"


STARTED = {
    "translation": 0,
    "segment": 0,
    "source_pieces": [{"id": 1, "piece": "▁", **one} for one in tokens(SOURCE, *WORDS[0])],
}


def token(index, text, **more):
    said = {"translation": 0, "segment": 0, "index": index, "text": text, "log_prob": -0.1}
    return {**said, "weights": WEIGHTS[index], "eos": 0.05, "stable": True, **more}


def stream(*events):
    started = ": heartbeat\r\n\r\n" + event("segment", STARTED)
    return started + "".join(event(name, data) for name, data in events)


def put_together(page, *events):
    """The text, target tokens and weights after these events."""
    return page.evaluate(
        """async ([source, events]) => {
            const { PartialTranslation } = await import("/page/partial.js");
            const partial = new PartialTranslation(source);
            for (const [name, data] of events) partial.add(name, data);
            const { text, alignment } = partial.translation;
            const [{ target_tokens: tokens, weights }] = alignment.segments;
            const sliced = tokens.map(({ start, end }) => text.slice(start, end));
            return [text, tokens.map((token) => token.text), sliced, weights];
        }""",
        [SOURCE, [("segment", STARTED), *events]],
    )


def test_tokens_of_a_stream_are_put_together(translated):
    events = [("token", token(index, text)) for index, text in enumerate(["La", " mai", "son"])]
    words = ["La", "mai", "son"]
    assert put_together(translated, *events) == ["La maison", words, words, WEIGHTS]


def test_token_that_is_told_again_replaces_the_first(translated):
    told = [token(0, "Le", stable=False), token(1, " x", stable=False), token(0, "Une")]
    events = [("token", one) for one in told]
    assert put_together(translated, *events)[:2] == ["Une x", ["Une", "x"]]


def test_tokens_beyond_the_end_of_a_segment_are_void(translated):
    told = [("token", token(index, text)) for index, text in enumerate(["La", " x", " y"])]
    end = {"translation": 0, "segment": 0, "pieces": 2}
    assert put_together(translated, *told, ("segment_end", end))[:2] == ["La x", ["La", "x"]]


def test_words_appear_as_they_are_made(translated):
    """The service really streams: the drawing is seen to grow."""
    translated.evaluate(
        """() => {
            window.shown = [];
            const drawing = document.querySelector("attention-alignment");
            const note = () => window.shown.push([
                drawing.hasAttribute("partial"),
                drawing.getAttribute("target"),
            ]);
            new MutationObserver(note).observe(drawing, { attributeFilter: ["target", "partial"] });
        }"""
    )
    # More sentences than are decoded side by side: they take longer than one frame of the page.
    text = "We arrived late in the evening. The hotel was closed. A woman helped us. " * 8
    translated.locator("#text").fill(text)
    press(translated, "#translate")
    shown = translated.evaluate("shown")
    growing = [one for is_partial, one in shown if is_partial]
    assert len(growing) > 1
    assert len(growing[0]) < len(growing[-1])
    assert shown[-1][0] is False


def test_error_in_a_stream_is_told_and_what_was_there_before_comes_back(translated):
    body = problem("deadline_exceeded", "Not ready in time", "Send less text.", 504)
    events = stream(("token", token(0, "La")), ("error", body))
    reply(translated, TRANSLATE, 200, events)
    translate(translated)
    assert told(translated) == "Not ready in time. Send less text."
    expect(translated.locator("#exports")).to_be_visible()


def test_stream_that_ends_early_is_told(translated):
    reply(translated, TRANSLATE, 200, stream(("token", token(0, "La"))))
    translate(translated)
    assert told(translated).startswith("The connection ended")


def test_connection_that_breaks_within_a_stream_is_told_in_words_for_a_person(translated):
    translated.evaluate(
        """() => {
          const broken = { pull: (controller) => controller.error(new TypeError("network error")) };
          const headers = { "Content-Type": "text/event-stream" };
          window.fetch = async () => new Response(new ReadableStream(broken), { headers });
        }"""
    )
    translate(translated)
    assert told(translated).startswith("The connection ended")


def test_stream_ends_with_the_whole_answer(translated):
    reply(translated, TRANSLATE, 200, stream(("token", token(0, "La")), ("done", HOUSES)))
    translate(translated)
    expect(translated.locator(".target .word")).to_have_text(["La", "maison", "blanche"])
