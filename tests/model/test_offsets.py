import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.offsets import offset_converter
from tests.unicode_texts import unicode_texts

BYTES_A_UNIT = {"utf-32": 4, "utf-16": 2, "utf-8": 1}
CODEC = {"utf-32": "utf-32-le", "utf-16": "utf-16-le", "utf-8": "utf-8"}


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-32", [0, 1, 2, 3]), ("utf-16", [0, 1, 3, 4]), ("utf-8", [0, 2, 6, 7])],
)
def test_offsets_around_a_letter_an_emoji_and_a_mark(encoding, expected):
    assert list(map(offset_converter("é👩!", encoding), range(4))) == expected


@given(text=unicode_texts(), encoding=st.sampled_from(list(CODEC)), data=st.data())
def test_converted_spans_slice_the_encoded_text(text, encoding, data):
    cuts = st.integers(min_value=0, max_value=len(text))
    start, end = sorted((data.draw(cuts), data.draw(cuts)))
    first, last = map(offset_converter(text, encoding), (start, end))
    encoded = text.encode(CODEC[encoding])
    unit = BYTES_A_UNIT[encoding]
    assert encoded[first * unit : last * unit].decode(CODEC[encoding]) == text[start:end]
