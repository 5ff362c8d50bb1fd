import pytest

from examples.markup import Paragraph, carry_over, translate_paragraph
from softalign import Client
from tests.examples.aligned import aligned


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("<p>The <b>black</b> cat sleeps.</p>", "<p>Le chat <b>noir</b> dort.</p>"),
        ("The <b>black <i>cat</i></b> sleeps.", "Le <b><i>chat</i> noir</b> dort."),
        ("The black cat sleeps.", "Le chat noir dort."),
    ],
)
def test_elements_land_on_the_right_words(shipped_service, english, french):
    with Client(shipped_service) as client:
        made = translate_paragraph(client, english, target_lang="fr", kind="head")
    assert made == french


def carried(html, target, links):
    paragraph = Paragraph()
    paragraph.feed(html)
    paragraph.close()
    return (
        paragraph.before
        + carry_over(paragraph, aligned(paragraph.text, target, links))
        + (paragraph.after)
    )


def test_an_element_whose_words_move_apart_is_there_twice():
    made = carried("<p>does <b>not</b> eat</p>", "ne mange pas", "1-0 2-1 1-2")
    assert made == "<p><b>ne</b> mange <b>pas</b></p>"


def test_elements_that_would_cross_are_nested():
    html = "<i>a <b>b</b></i> c"
    assert carried(html, "x y z", "1-0 2-1 0-2") == "<i><b>x</b></i> y <i>z</i>"


def test_attributes_and_characters_are_kept():
    made = carried('a &amp; <a href="/?a=1&amp;b=2">b</a> &lt;', "c & d <", "0-0 1-1 2-2 3-3")
    assert made == 'c &amp; <a href="/?a=1&amp;b=2">d</a> &lt;'


def test_neighbours_share_one_element():
    assert carried("<b>a b</b> c", "x y z", "0-0 1-1 2-2") == "<b>x y</b> z"


def test_what_is_left_open_goes_to_the_end():
    assert carried("a <b>b c", "x y z", "0-0 1-1 2-2") == "x <b>y z</b>"


def test_two_paragraphs_are_refused():
    with pytest.raises(ValueError, match="one by one"):
        Paragraph().feed("<p>One.</p><p>Two.</p>")
