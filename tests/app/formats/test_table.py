import pytest

from app.errors import PROBLEMS, MatrixTooLargeError, NotAcceptableError
from app.formats.aligned import FormatOptions
from app.formats.table import FORMATS, choose_format, write
from app.schemas import AlignmentRequest
from tests.app.formats import aligned_texts as texts

NAMES = [one.name for one in FORMATS]


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("image/png", "png"),
        ("image/*", "svg"),
        ("text/*", "blocks"),
        ("text/csv, text/html;q=0.9", "csv"),
        ("text/csv;q=0.2, text/html;q=0.9", "html"),
        ("application/json; charset=utf-8", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "html"),
        ("image/svg+xml;q=0, image/*", "png"),
        ("application/json;q=0, */*", "blocks"),
        ("TEXT/CSV", "csv"),
    ],
)
def test_the_form_that_accept_likes_best_is_taken(accept, name):
    assert choose_format(None, accept).name == name


def test_a_name_goes_before_accept():
    assert [choose_format(name, "image/png").name for name in NAMES] == NAMES


@pytest.mark.parametrize(
    ("name", "accept"),
    [("pdf", "*/*"), ("", None), (None, "application/pdf"), (None, "nonsense"), (None, "*/*;q=0")],
)
def test_a_form_that_is_not_there_is_refused_with_a_list_of_those_that_are(name, accept):
    with pytest.raises(NotAcceptableError) as raised:
        choose_format(name, accept)
    assert PROBLEMS[raised.value.code].status == 406
    assert all(f"{one.name} ({one.media_type})" in raised.value.detail for one in FORMATS)


@pytest.mark.parametrize("form", FORMATS, ids=NAMES)
def test_every_form_is_written_and_dense_ones_are_limited(form):
    assert write(texts.SMALL, form, FormatOptions(), max_cells=16)
    if form.is_dense:
        with pytest.raises(MatrixTooLargeError, match="sparse"):
            write(texts.SMALL, form, FormatOptions(), max_cells=15)
    else:
        assert write(texts.SMALL, form, FormatOptions(), max_cells=15)


@pytest.mark.parametrize("form", ["sparse", "links"])
def test_json_that_is_not_dense_has_no_limit(form):
    options = FormatOptions(alignment=AlignmentRequest(form=form))
    assert write(texts.SMALL, choose_format("json", None), options, max_cells=1)


def test_an_ending_is_as_good_as_a_name():
    assert all(choose_format(one.ending, None) is one for one in FORMATS)


def test_names_endings_and_media_types_are_unique():
    for known in (NAMES, [one.ending for one in FORMATS], [one.media_type for one in FORMATS]):
        assert len(set(known)) == len(FORMATS)


def test_content_types_say_that_text_is_utf_8():
    told = {one.name: one.content_type for one in FORMATS}
    assert told["csv"] == "text/csv; charset=utf-8"
    assert told["png"] == "image/png"
