"""docs/api.md shows every form with its true output."""

import doctest
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.formats.aligned import FormatOptions
from app.formats.png import png
from app.formats.table import FORMATS, choose_format, write
from app.schemas import AlignmentRequest
from tests.app.formats.aligned_texts import SMALL

DOCS = Path(__file__).parents[3] / "docs"
[SECTION] = re.findall(
    r"^## Forms of an alignment\n(.*?)^## ",
    (DOCS / "api.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)


def written(name: str, **asked) -> bytes:
    options = FormatOptions(alignment=AlignmentRequest(**asked))
    return write(SMALL, choose_format(name, None), options, max_cells=16)


def blocks(after: str) -> list[str]:
    """The code blocks that follow `after`, up to the next bold name."""
    part = re.split(r"^\*\*", SECTION.partition(f"**{after}**")[2], flags=re.MULTILINE)[0]
    return re.findall(r"^```\w+\n(.*?)\n```$", part, re.DOTALL | re.MULTILINE)


def test_every_form_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` \| `([\w./+-]+)` \|", SECTION, re.MULTILINE)
    assert rows == [(one.name, one.media_type) for one in FORMATS]


@pytest.mark.parametrize("name", ["blocks", "csv", "tsv", "pharaoh", "proj"])
def test_text_is_shown_as_it_is(name):
    [shown] = blocks(name)
    lines = written(name).decode().splitlines()
    whole = not shown.endswith("\n…")
    assert shown.removesuffix("\n…").splitlines() == (
        lines if whole else lines[: shown.count("\n")]
    )


def test_json_is_shown_as_it_is():
    dense, *others = [json.loads(block) for block in blocks("json")]
    assert dense == json.loads(written("json"))
    asked = [{"form": "links", "threshold": 0.25}, {"form": "sparse", "threshold": 0.5}]
    for shown, options in zip(others, asked, strict=True):
        [segment] = json.loads(written("json", **options))["segments"]
        assert shown.items() <= segment.items()
        assert shown.keys() | dense["segments"][0].keys() - {"weights"} == segment.keys()


def test_arrays_are_read_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("npy", "npz"):
        Path(f"alignment.{name}").write_bytes(written(name))
    [session] = re.findall(r"^```python\n(>>>.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    parsed = doctest.DocTestParser().get_doctest(session, {}, "api.md", "api.md", 0)
    results = doctest.DocTestRunner().run(parsed)
    assert results.attempted >= 7
    assert results.failed == 0


@pytest.mark.parametrize("name", ["svg", "html"])
def test_what_the_document_shows_as_a_file_is_what_is_written(name):
    assert (DOCS / f"pictures/alignment.{name}").read_bytes() == written(name)


def test_the_png_of_the_document_is_the_one_that_is_drawn():
    drawn = pixels(png(SMALL, FormatOptions(), system_fonts=False))
    kept = pixels((DOCS / "pictures/alignment.png").read_bytes())
    assert drawn.shape == kept.shape
    # Edges may be smoothed a little differently; a moved label or another colour is far more.
    assert (np.abs(drawn - kept).max(axis=2) > 32).mean() < 0.001


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=int)


def test_every_form_is_shown():
    assert {one.name for one in FORMATS} <= set(re.findall(r"\*\*(\w+)\*\*", SECTION))
