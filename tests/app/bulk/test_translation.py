import json

import pytest
import torch

from app.bulk.forms import BULK_FORMS, line_links
from app.bulk.lines import Line
from app.bulk.translation import LineTranslator
from app.catalog import fast_network
from model.hypothesis import SearchOptions
from model.pharaoh import from_pharaoh
from tests.app.bulk.conftest import GOOD, LINKS, SETTINGS


def lines_of(texts):
    return [Line(number, len(text), text) for number, text in enumerate(texts, start=1)]


def test_lines_come_back_in_order_and_each_is_reported_once(translator):
    reported = []
    lines = [*lines_of(GOOD * 5), Line(26, 3, "", "invalid_utf8")]
    done = translator.translate(lines, reported.append)
    assert [one.line for one in done] == lines
    assert sorted(line.number for line in reported) == list(range(1, 27))
    assert done[-1].translation is None
    assert done[-1].problem == "invalid_utf8"


def test_a_line_alone_equals_itself_in_a_full_window(translator):
    together = translator.translate(lines_of(GOOD * 5))
    for line, one in zip(lines_of(GOOD), together, strict=False):
        [alone] = translator.translate([line])
        assert alone.translation.text == one.translation.text
        for own, other in zip(alone.translation.sentences, one.translation.sentences, strict=True):
            torch.testing.assert_close(
                own.hypothesis.weights, other.hypothesis.weights, atol=1e-5, rtol=0
            )


def test_a_line_of_too_many_pieces_fails_alone(tiny_models):
    [model] = tiny_models
    settings = SETTINGS.model_copy(update={"max_text_tokens": 8})
    options = SearchOptions(beam_size=1, max_length=4)
    short = LineTranslator(model, fast_network(model), settings, options)
    done = short.translate(lines_of(["Yes.", GOOD[-1], "No!"]))
    assert [one.problem for one in done] == [None, "text_too_long", None]


def test_every_form_has_one_line_for_a_line(translator):
    done = translator.translate([*lines_of(GOOD), Line(6, 1, "", "empty_text")])
    written = {
        name: [write(one, translator.model, LINKS) for one in done]
        for name, write in BULK_FORMS.items()
    }
    for lines in written.values():
        assert all(len(line.splitlines()) <= 1 or "\u2028" in line for line in lines)
        assert not any("\n" in line for line in lines)
    assert all(len(line.split("\t")) == 2 for line in written["tsv"])
    assert written["tsv"][-1] == "\t"
    assert written["pharaoh"][-1] == ""
    documents = [json.loads(line) for line in written["jsonl"]]
    assert documents[-1] == {"line": 6, "problem": "empty_text"}
    assert [document.get("source") for document in documents[:-1]] == GOOD


def test_links_of_a_line_are_counted_through_its_sentences(translator):
    [done] = translator.translate(lines_of([GOOD[1]]))
    first, second = [one.alignment("word", "attention") for one in done.translation.sentences]
    links = from_pharaoh(line_links(done.translation, LINKS)).sure
    sources, targets = len(first.source), len(first.target)
    assert {target for _, target in links} == set(range(targets + len(second.target)))
    for source, target in links:
        assert (source < sources) == (target < targets)
    assert max(source for source, _ in links) >= sources


@pytest.mark.parametrize("count", [0, 1])
def test_a_window_without_anything_to_translate_is_no_trouble(translator, count):
    lines = [Line(number, 1, "", "empty_text") for number in range(count)]
    assert len(translator.translate(lines)) == count
