"""`<attention-alignment>` in a browser, outside of the page that uses it."""

import pytest

from tests.app.page.alignments import (
    HOUSE,
    HOUSES,
    SOURCE,
    TARGET,
    alignment,
    answer,
    matrix,
)

DEMO = "/page/attention-alignment/demo.html"


@pytest.fixture
def draw(visitor):
    """Puts one element with the given attributes and alignment in the demo page, alone."""

    def draw(attributes=None, given=None):
        page = visitor.page if visitor.page.url.endswith(DEMO) else visitor.visit(DEMO)
        page.mouse.move(0, 0)
        page.evaluate(
            """([attributes, given]) => {
                const element = document.createElement("attention-alignment");
                for (const name in attributes) element.setAttribute(name, attributes[name]);
                if (given !== null) element.alignment = given;
                document.querySelector("main").replaceChildren(element);
            }""",
            [attributes or {}, given],
        )
        return page

    visitor.faults.clear()
    yield draw
    assert visitor.faults == []


TEXTS = {"source": SOURCE, "target": TARGET}


def words(page, side):
    return page.locator(f".{side} .word").all_inner_texts()


def weights_of(page, side):
    """The weight that each word is lit with."""
    read = "all => all.map((word) => Number(word.style.getPropertyValue('--weight')))"
    return page.locator(f".{side} .word").evaluate_all(read)


def links(page):
    return page.evaluate("document.querySelector('attention-alignment').links")


def test_demo_draws_all_three_forms(open_page):
    page = open_page(DEMO)
    assert page.locator("attention-alignment").count() == 3
    assert page.locator("attention-alignment .ribbon").count() > 15
    assert page.locator("attention-alignment .error").count() == 0


def test_demo_works_from_a_disk(open_page):
    page = open_page(DEMO)
    script = page.evaluate("document.querySelector('script[src]').type")
    assert script == ""  # a module could not be loaded from a file: address


def test_json_alignment_is_drawn_word_by_word(draw):
    page = draw(TEXTS, HOUSE)
    assert words(page, "source") == ["The", "white", "house"]
    assert words(page, "target") == ["La", "maison", "blanche"]
    assert page.locator("tbody tr").count() == 3


def test_level_chooses_pieces(draw):
    page = draw({**TEXTS, "level": "piece"}, HOUSE)
    assert words(page, "source") == ["The", "wh", "ite", "house"]
    assert page.locator(".line.source").inner_text() == "The white house"


@pytest.mark.parametrize("given", [HOUSES, HOUSES["translations"][0], HOUSE])
def test_answer_translation_and_alignment_are_all_understood(draw, given):
    page = draw({"source": SOURCE}, given)
    assert words(page, "target") == ["La", "maison", "blanche"]


def test_sparse_and_linked_forms_are_understood(draw):
    dense = HOUSE["segments"][0]
    sparse = {name: value for name, value in dense.items() if name != "weights"}
    page = draw(TEXTS, alignment({**sparse, "rows": [0, 1], "cols": [0, 2], "values": [0.9, 0.8]}))
    assert links(page) == [[[0, 0, 0.9], [2, 1, 0.8]]]
    page = draw(TEXTS, alignment({**sparse, "links": [[0, 0, 0.9], [2, 1, 0.8]]}))
    assert links(page) == [[[0, 0, 0.9], [2, 1, 0.8]]]


@pytest.mark.parametrize(("kind", "targets"), [("attention", [0, 1, 2]), ("head", [0, 2])])
def test_a_word_for_which_the_head_chose_the_end_has_no_link(draw, kind, targets):
    weights = [[0.9, 0.0, 0.0], [0.02, 0.1, 0.08], [0.0, 0.6, 0.0]]
    one = matrix(SOURCE, TARGET, SOURCE.split(), TARGET.split(), weights)
    page = draw({**TEXTS, "threshold": "0.15"}, alignment(one, kind=kind))
    assert [target for _, target, _ in links(page)[0]] == targets


@pytest.mark.parametrize(
    ("unit", "start", "end"), [("utf-16", 6, 11), ("utf-32", 5, 10), ("utf-8", 8, 13)]
)
def test_gaps_are_exact_in_every_unit_of_offsets(draw, unit, start, end):
    ends = {"utf-16": 2, "utf-32": 1, "utf-8": 4}[unit]
    segment = matrix("😀", "ah", ["😀"], ["ah"], [[0.9]])
    segment["source_tokens"] = [
        {"text": "😀", "start": 0, "end": ends},
        {"text": "white", "start": start, "end": end},
    ]
    segment["weights"] = [[0.5, 0.4]]
    page = draw(
        {"source": "😀 .. white", "target": "ah"}, {**alignment(segment), "offset_encoding": unit}
    )
    assert page.locator(".line.source").inner_text() == "😀 .. white"


def test_pharaoh_links_are_drawn(draw):
    page = draw({**TEXTS, "pharaoh": "0-0 1-2 2?1"})
    assert links(page) == [[[0, 0, 1], [2, 1, 0.5], [1, 2, 1]]]


def test_azure_proj_is_drawn(draw):
    page = draw(
        {
            "source": "Do not go",
            "target": "N'y allez pas !",
            "proj": "0:1-4:8 3:5-0:1 3:5-10:12 7:8-4:8",
        }
    )
    assert words(page, "source") == ["Do", "not", "go"]
    assert words(page, "target") == ["N'", "y", "allez", "pas", "!"]
    assert [link[:2] for link in links(page)[0]] == [[1, 0], [0, 2], [2, 2], [1, 3]]


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"pharaoh": "0-9"}, "“0-9” is not a link between 3 source and 3 target words."),
        ({"pharaoh": "nonsense"}, "“nonsense” is not a link"),
        ({"proj": "0:2-0:99"}, "“0:2-0:99” is not a pair of ranges"),
        ({"proj": "2:1-0:1"}, "“2:1-0:1” is not a pair of ranges"),
    ],
)
def test_input_that_cannot_be_drawn_is_explained(draw, attributes, sentence):
    page = draw({**TEXTS, **attributes})
    assert sentence in page.locator(".error").inner_text()


@pytest.mark.parametrize("given", ["{", "{}", "null"])
def test_json_that_is_no_alignment_is_explained(draw, given):
    page = draw(TEXTS, given)
    assert "JSON" in page.locator(".error").inner_text()


def test_partners_light_up_in_proportion_to_their_weights(draw):
    page = draw(TEXTS, HOUSE)
    page.locator(".target .word").nth(1).hover()
    assert weights_of(page, "source") == [0.1, 0.1, 0.8]
    assert page.locator(".reading").inner_text().startswith("maison")
    assert "house 80%" in page.locator(".reading").inner_text()
    page.locator(".source .word").nth(1).hover()
    assert weights_of(page, "target") == [0.05, 0.1, 0.9]
    page.mouse.move(0, 0)
    assert page.locator(".lit").count() == 0


def test_click_keeps_and_a_second_click_lets_go(draw):
    page = draw(TEXTS, HOUSE)
    word = page.locator(".target .word").nth(2)
    word.click()
    page.locator(".target .word").nth(0).hover()
    assert word.get_attribute("aria-pressed") == "true"
    assert weights_of(page, "source") == [0, 0.9, 0.05]
    word.click()
    assert word.get_attribute("aria-pressed") == "false"


def test_words_ribbons_and_matrix_are_linked(draw):
    page = draw(TEXTS, HOUSE)
    page.locator("td[data-source='2'][data-target='1']").hover()
    assert page.locator(".word.chosen").all_inner_texts() == ["house", "maison"]
    assert page.locator(".ribbon.on").count() == 1
    page.locator(".source .word").nth(2).hover()
    assert page.locator("tbody td.on").count() == 3
    assert page.locator("thead th.on").inner_text() == "house"


def test_threshold_keeps_the_best_link_of_each_word(draw):
    page = draw({**TEXTS, "threshold": "0.05"}, HOUSE)
    assert page.locator(".ribbon").count() == 8
    page.evaluate("document.querySelector('attention-alignment').setAttribute('threshold', '1')")
    assert page.locator(".ribbon").count() == 3
    assert page.locator("td.link").count() == 3


def test_keyboard_moves_between_words_and_to_partners(draw):
    page = draw(TEXTS, HOUSE)
    page.locator(".source .word").first.focus()
    focused = "document.querySelector('attention-alignment').shadowRoot.activeElement.textContent"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "white"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "blanche"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "house"
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    assert weights_of(page, "target") == [0.1, 0.8, 0.05]
    page.keyboard.press("Escape")
    assert page.locator(".lit").count() == 0
    page.keyboard.press("End")
    assert page.evaluate(focused) == "house"


def test_each_line_is_one_stop_of_the_tab_key(draw):
    page = draw(TEXTS, HOUSE)
    assert page.locator(".word[tabindex='0']").count() == 2


def test_word_that_nothing_looked_at_is_marked(draw):
    weights = [[0.9, 0.0, 0.05], [0.1, 0.02, 0.8]]
    segment = matrix(SOURCE, "La maison", WORDS[0], ["La", "maison"], weights)
    page = draw({"source": SOURCE, "target": "La maison"}, alignment(segment))
    assert page.locator(".word.left-out").all_inner_texts() == ["white"]
    assert "white" in page.locator(".note").inner_text()


WORDS = (["The", "white", "house"], ["La", "maison", "blanche"])


def test_loop_is_marked_and_a_true_repetition_is_not(draw):
    said = ["la", "maison", "la", "maison", "la", "maison"]
    target = " ".join(said)
    loop = [[0.9, 0.0, 0.0], [0.0, 0.1, 0.9]] * 3
    page = draw(
        {"source": SOURCE, "target": target},
        alignment(matrix(SOURCE, target, WORDS[0], said, loop)),
    )
    assert page.locator(".word.repeated").count() == 4
    told = page.locator(".note.repeated").inner_text()
    assert (told.count("la"), told.count("maison")) == (1, 1)
    copied = [[float(row == column) for column in range(6)] for row in range(6)]
    page = draw(
        {"source": target, "target": target},
        alignment(matrix(target, target, said, said, copied)),
    )
    assert page.locator(".word.repeated").count() == 0


def test_nothing_is_marked_while_a_translation_arrives(draw):
    segment = matrix(SOURCE, "La", WORDS[0], ["La"], [[0.9, 0.0, 0.05]])
    page = draw({"source": SOURCE, "target": "La", "partial": ""}, alignment(segment))
    assert page.locator(".left-out").count() == 0


def test_segments_stand_under_each_other_with_one_matrix(draw):
    first, second = dict(HOUSE["segments"][0]), dict(HOUSE["segments"][0])
    second["segment"] = 1
    page = draw({}, alignment(first, second))
    assert page.locator(".segment").count() == 2
    assert page.locator("table").count() == 1
    page.locator(".segment").nth(1).locator(".target .word").nth(1).hover()
    assert page.locator("tbody td.on").count() == 4
    assert page.locator(".segment.lit").count() == 1


def test_right_to_left_text_runs_from_right_to_left(draw):
    source, target = "الكتاب على الطاولة", "The book is on the table"
    page = draw({"source": source, "target": target, "pharaoh": "0-0 0-1 1-3 2-4 2-5"})
    boxes = page.locator(".source .word").evaluate_all("all => all.map((w) => w.offsetLeft)")
    assert boxes == sorted(boxes, reverse=True)
    columns = page.locator("thead th").evaluate_all("all => all.map((w) => w.offsetLeft)")
    assert columns == sorted(columns, reverse=True)
    page.locator(".source .word").first.focus()
    page.keyboard.press("ArrowLeft")
    focused = "document.querySelector('attention-alignment').shadowRoot.activeElement.textContent"
    assert page.evaluate(focused) == "على"


def test_line_does_not_begin_with_a_comma(draw):
    source = ", ".join(["word"] * 60) + "."
    said = [part for word in source.split() for part in (word[:-1], word[-1])]
    weights = [[0.01] * len(said)]
    aligned = alignment(matrix(source, "x", said, ["x"], weights))
    page = draw({"source": source, "target": "x"}, aligned)
    assert page.locator(".line.source").inner_text() == source
    tops = page.locator(".source .word").evaluate_all("all => all.map((w) => w.offsetTop)")
    assert len(set(tops)) > 1
    assert tops[::2] == tops[1::2]


def test_override_of_direction_stays_within_its_word(draw):
    source = "a\u202eb c d"
    page = draw({"source": source, "target": "x y z", "pharaoh": "0-0 1-1 2-2"})
    boxes = page.locator(".source .word").evaluate_all("all => all.map((w) => w.offsetLeft)")
    assert boxes == sorted(boxes)


def test_piece_without_characters_has_something_to_point_at(draw):
    segment = matrix("ab", "x", ["ab"], ["x"], [[0.9]])
    segment["target_tokens"].insert(0, {"text": "", "start": 0, "end": 0, "log_prob": -1.0})
    segment["weights"].insert(0, [0.5])
    segment["eos"]["source_mass"].insert(0, 0.5)
    page = draw({"source": "ab", "target": "x"}, alignment(segment))
    assert words(page, "target") == ["∅", "x"]


def test_light_and_release_can_be_called_and_are_told(draw):
    page = draw(TEXTS, HOUSE)
    told = page.evaluate(
        """() => {
            const element = document.querySelector("attention-alignment");
            const told = [];
            element.addEventListener("alignment-light", (event) => told.push(event.detail));
            element.light({ target: 1 }, { lock: true });
            element.light({ target: 99 });
            element.release();
            return told;
        }"""
    )
    assert told == [{"place": 0, "source": None, "target": 1, "locked": True}, None]


def test_answer_without_alternatives_is_enough(draw):
    page = draw({"source": SOURCE}, answer(SOURCE, [(TARGET, HOUSE)]))
    assert page.locator(".error").count() == 0
