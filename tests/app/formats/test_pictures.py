import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.errors import ServiceError
from app.formats import png as png_module
from app.formats.aligned import FormatOptions
from app.formats.layout import CELL, LINE_HEIGHT, LONGEST_LABEL, lay_out
from app.formats.png import SCALE, png
from app.formats.svg import draw, svg
from tests.app.formats import aligned_texts as texts
from tests.app.formats.golden import FOLDER, PICTURES, RASTERISED
from tests.unicode_texts import unicode_texts

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


@pytest.mark.parametrize("name", PICTURES)
def test_svg_is_the_one_that_was_looked_at(name):
    aligned, options = PICTURES[name]
    assert svg(aligned, options) == (FOLDER / f"{name}.svg").read_bytes()


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=np.int16)


@pytest.mark.parametrize("name", RASTERISED)
def test_png_looks_like_the_one_that_was_looked_at(name):
    aligned, options = PICTURES[name]
    drawn = pixels(png(aligned, options, system_fonts=False))
    kept = pixels((FOLDER / f"{name}.png").read_bytes())
    assert drawn.shape == kept.shape
    # Edges may be smoothed a little differently; a moved label or another colour is far more.
    assert (np.abs(drawn - kept).max(axis=2) > 32).mean() < 0.001


def test_png_of_another_theme_does_not_pass_as_the_same():
    light, dark = (
        pixels((FOLDER / f"small-{theme}.png").read_bytes()) for theme in ("light", "dark")
    )
    assert (np.abs(light - dark).max(axis=2) > 32).mean() > 0.5


def test_png_has_the_size_of_the_svg_at_its_scale():
    drawn = Image.open(io.BytesIO(png(texts.SMALL, FormatOptions())))
    root = draw(texts.SMALL, FormatOptions())
    assert drawn.size == (SCALE * int(root.attrib["width"]), SCALE * int(root.attrib["height"]))


def test_the_rasteriser_never_comes_into_the_process_of_the_service():
    # It holds the lock of Python while it draws: nothing else would run.
    assert png(texts.TINY, FormatOptions())
    assert "resvg_py" not in sys.modules


def test_a_rasteriser_that_fails_is_an_error_and_no_empty_picture(monkeypatch, tmp_path):
    broken = tmp_path / "rasterise.py"
    broken.write_text("raise SystemExit(3)")
    monkeypatch.setattr(png_module, "RASTERISER", broken)
    with pytest.raises(subprocess.SubprocessError):
        png(texts.TINY, FormatOptions())


def test_a_picture_of_too_many_pixels_is_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(png_module, "MOST_PIXELS", 1_000)
    with pytest.raises(ServiceError, match="sparse") as raised:
        png(texts.SMALL, FormatOptions())
    assert raised.value.code == "matrix_too_large"


@pytest.mark.parametrize("aligned", [texts.SMALL, texts.ARABIC, texts.EMOJI, texts.LONG])
def test_every_token_is_text_in_the_picture(aligned):
    written = [
        "".join(element.itertext()).strip("\u2067\u2069")
        for element in parsed(svg(aligned, FormatOptions())).iter(f"{SVG}text")
    ]
    [one] = aligned.segments
    shown = one.alignment.source[:60] + one.alignment.target[:60]
    assert {token.text for token in shown} <= set(written)


def test_a_picture_holds_no_script_style_or_address():
    picture = svg(texts.EMOJI, FormatOptions()).decode()
    tags = {element.tag.removeprefix(SVG) for element in parsed(picture.encode()).iter()}
    assert tags <= {"svg", "title", "rect", "path", "g", "text"}
    assert "href" not in picture
    assert re.findall(r"https?://[^\"]*", picture) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"\bstyle=|\bon\w+=", picture)


def test_tokens_that_are_not_drawn_are_counted_and_their_weight_is_kept():
    options = FormatOptions(max_tokens=5)
    [one] = lay_out(texts.LONG, options).maps
    alignment = texts.LONG.segments[0].alignment
    assert (len(one.columns), one.hidden_columns) == (5, len(alignment.source) - 5)
    assert (len(one.rows), one.hidden_rows) == (5, len(alignment.target) - 5)
    for row, end in zip(one.weights, one.end, strict=True):
        assert math.isclose(sum(row) + end, 1.0, abs_tol=1e-6)
    picture = svg(texts.LONG, options).decode()
    assert f"+{one.hidden_columns} more" in picture
    assert f"+{one.hidden_rows} more" in picture


def test_nothing_is_marked_as_left_out_where_everything_is_drawn():
    assert " more" not in svg(texts.SMALL, FormatOptions()).decode()


@pytest.mark.parametrize("aligned", [aligned for aligned, _ in PICTURES.values()])
def test_labels_have_room(aligned):
    layout = lay_out(aligned, FormatOptions())
    for one in layout.maps:
        assert all(label.width <= LONGEST_LABEL for label in (*one.columns, *one.rows))
        assert all(label.width <= one.left for label in one.rows)
        assert one.right <= layout.width
        assert one.bottom <= layout.legend_top <= layout.height
        assert all(label.width < one.head for label in one.columns) or not one.upright
    # Lines at 45°, a cell apart, are farther from each other than a line is high.
    assert CELL * math.sqrt(0.5) > LINE_HEIGHT


def test_segments_stand_below_each_other_and_name_themselves():
    first, second = lay_out(texts.two_segments(), FormatOptions()).maps
    assert first.bottom < second.top
    assert first.caption.startswith("segment 0")
    assert second.caption.startswith("segment 1")


def test_links_are_marked_and_more_of_them_below_a_threshold():
    def marks(options: FormatOptions) -> int:
        return sum(
            "stroke-width" in rectangle.attrib
            for rectangle in draw(texts.SMALL, options).iter("rect")
        )

    asked = FormatOptions().alignment.model_copy(update={"threshold": 0.25})
    in_legend = 1
    assert marks(FormatOptions()) == 4 + in_legend
    assert marks(replace(FormatOptions(), alignment=asked)) == 5 + in_legend


@given(unicode_texts(), unicode_texts())
def test_any_text_makes_well_formed_svg(source, target):
    parsed(svg(texts.aligned(source, target), FormatOptions(max_tokens=8)))


@given(st.text(min_size=1, max_size=12))
def test_any_token_makes_well_formed_svg(token):
    one = texts.segment((texts.Token(token, 0, len(token)),), (texts.Token(token, 0, len(token)),))
    parsed(svg(texts.text(token, token, "en fr", one), FormatOptions()))
