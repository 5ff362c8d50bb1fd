"""The report of a comparison: complete, and needing nothing from outside."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from tests.training.textbook.made_up import standing
from tests.training.textbook.self_contained import assert_self_contained
from training.textbook.comparison_report import write_comparison
from training.textbook.recommendation import recommend
from training.textbook.results import Comparison, Failure

FAILURES = [Failure("wild <1>", {"learning_rate": 9.0}, "step 11: not finite & gone")]


def comparison(failures=()):
    standings = [
        standing("tanh · fixed vector", 5.0, 0.1, 0.001, cell="rnn", attention="none"),
        standing("tanh · attention", 9.0, 0.2, 0.2, cell="rnn", attention="additive"),
        standing("GRU · attention", 9.5, 0.4, None, cell="gru", attention="additive"),
    ]
    return Comparison(
        title="en → fr",
        data="Sentences <we> wrote.",
        budget="20 updates each",
        loss=4.75,
        standings=standings,
        failures=list(failures),
        recommendation=recommend(standings, failures),
    )


@pytest.fixture
def page(tmp_path):
    return write_comparison(comparison(FAILURES), tmp_path).read_text("utf-8")


def test_report_asks_for_nothing_outside(page):
    assert_self_contained(page)


def test_report_holds_plots_table_recommendation_and_failures(page):
    assert page.count("<svg") == 3
    for text in ("Take tanh · attention", "1.00 M", "4.00 ×", "best", "0.200", "(12)", "81+"):
        assert text in page
    assert '<tr class="chosen"><td>tanh · attention</td>' in page
    assert "wild &lt;1&gt;" in page
    assert "not finite &amp; gone" in page
    assert "Sentences &lt;we&gt; wrote." in page


def test_seconds_to_the_loss_are_updates_at_the_measured_speed(page):
    # 15 updates at 0.4 s.
    assert re.search(r"GRU · attention</td>.*?<td>6</td>", page)


def test_pictures_are_files_of_their_own_for_light_and_dark(tmp_path):
    write_comparison(comparison(), tmp_path)
    files = sorted((tmp_path / "pictures").iterdir())
    assert [file.name for file in files] == ["bleu-by-length.svg", "loss.svg", "speed.svg"]
    for file in files:
        text = file.read_text("utf-8")
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme:dark" in text
        defined = set(re.findall(r"--([\w-]+):", text))
        assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= defined
        assert not re.findall(r"#(?:0101|0102)[0-9a-f]{2}\b", text)


def test_same_figures_draw_the_same_bytes(tmp_path):
    first = write_comparison(comparison(), tmp_path / "a").read_bytes()
    assert write_comparison(comparison(), tmp_path / "b").read_bytes() == first


def test_json_holds_every_figure(tmp_path):
    write_comparison(comparison(FAILURES), tmp_path)
    values = json.loads((tmp_path / "report.json").read_text("utf-8"))
    first = values["variants"][0]
    assert first["seconds_to_loss"] == pytest.approx(1.5)
    assert first["by_length"]["all sentences"][1]["longest"] is None
    assert {"parameters", "tokens_per_second", "bleu", "chrf", "aer", "points"} <= first.keys()
    assert values["failures"][0]["reason"] == "step 11: not finite & gone"
    assert values["recommendation"].startswith("Take")


def test_comparison_without_any_result_is_still_a_report(tmp_path):
    nothing = Comparison(
        title="en → fr",
        data="",
        budget="1 update",
        loss=0.0,
        standings=[],
        failures=FAILURES,
        recommendation=recommend([], FAILURES),
    )
    assert "No variant could be trained" in write_comparison(nothing, tmp_path).read_text("utf-8")
