"""A file with lines of every sort, and a way to translate it."""

from pathlib import Path

import pytest

from app.bulk.forms import BULK_FORMS
from app.bulk.run import BulkTask
from app.bulk.translation import LineTranslator
from app.catalog import fast_network
from app.schemas import AlignmentRequest
from app.settings import Settings
from model.hypothesis import SearchOptions

GOOD = [
    "Yes.",
    "The cat sleeps. It dreams of fish 🐟.",
    "  Tabs\tand \u2028 line ends\x85stay in one line.  ",
    "No!",
    "A rather long sentence about nothing at all, and about what comes after it.",
]
BAD = {
    3: b"\xff\xfe not UTF-8",
    5: b"   ",
    6: b"",
    8: b"a\0b",
    9: b"x" * 300,
}
"""By line number, from 1; lines may have 200 characters."""

LINKS = AlignmentRequest(form="links")
SETTINGS = Settings(max_text_characters=200, max_rows=16)


@pytest.fixture
def input_file(tmp_path: Path) -> Path:
    good = iter(GOOD * 3)
    lines = [BAD.get(number) or next(good).encode() for number in range(1, 16)]
    lines[5] = BAD[6]
    file = tmp_path / "input.txt"
    # A byte order mark, one CRLF, and no end of the last line.
    file.write_bytes(b"\xef\xbb\xbf" + b"\n".join([lines[0] + b"\r", *lines[1:]]))
    return file


@pytest.fixture(scope="session")
def translator(tiny_models) -> LineTranslator:
    [model] = tiny_models
    options = SearchOptions(beam_size=2, max_length=8)
    return LineTranslator(model, fast_network(model), SETTINGS, options)


@pytest.fixture
def make_task(input_file, translator, tmp_path):
    def make(form="jsonl", output="output", **changes) -> BulkTask:
        fields = {
            "input": input_file,
            "output": tmp_path / output,
            "name": f"tiny {form}",
            "translate": translator.translate,
            "write": lambda done: BULK_FORMS[form](done, translator.model, LINKS),
            "max_characters": SETTINGS.max_text_characters,
            "window_lines": 4,
        }
        return BulkTask(**{**fields, **changes})

    return make
