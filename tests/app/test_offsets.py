import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.offsets import offset_converter


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_offsets_slice_the_same_part_in_every_encoding(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for encoding, codec, width in [("utf-16", "utf-16-le", 2), ("utf-8", "utf-8", 1)]:
        convert = offset_converter(text, encoding)
        raw = text.encode(codec)
        part = raw[convert(start) * width : convert(end) * width]
        assert part.decode(codec) == text[start:end]


@pytest.mark.parametrize(("encoding", "end"), [("utf-32", 3), ("utf-16", 4), ("utf-8", 7)])
def test_an_emoji_counts_as_its_encoding_says(encoding, end):
    assert offset_converter("aé😀", encoding)(3) == end
