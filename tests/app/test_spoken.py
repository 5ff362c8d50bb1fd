"""Text that grows piece by piece."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.spoken import speak


def ids_of(tokenizer, text):
    return list(tokenizer.encode_with_spans(text).ids)


@pytest.mark.parametrize("text", ["Le chat dort.", "Ça  va ? 👩‍🚀 猫が好き", "x", "naïve € ½", "…"])
def test_what_was_said_is_never_taken_back(joint_tokenizer, text):
    ids = ids_of(joint_tokenizer, text)
    check_every_beginning(joint_tokenizer, ids)


def check_every_beginning(tokenizer, ids):
    whole = speak(tokenizer, ids, is_whole=True)
    decoded = tokenizer.decode_with_spans(ids)
    assert "".join(whole.texts) == decoded.text
    assert whole.spans == decoded.spans
    assert whole.held == 0
    for length in range(1, len(ids) + 1):
        part = speak(tokenizer, ids[:length], is_whole=False)
        final = length - part.held
        assert part.texts[:final] == speak(tokenizer, ids, is_whole=False).texts[:final]
        assert part.spans[:final] == whole.spans[:final]
        assert decoded.text.startswith("".join(part.texts))


@given(data=st.data())
def test_any_pieces_at_all_grow_too_broken_bytes_among_them(joint_tokenizer, data):
    size = joint_tokenizer.size
    some_bytes = st.integers(4, 4 + 255)  # the byte pieces stand behind the four special ones
    ids = data.draw(st.lists(some_bytes | st.integers(4, size - 1), max_size=12))
    check_every_beginning(joint_tokenizer, ids)


def test_bytes_say_nothing_until_their_character_is_complete(joint_tokenizer):
    ids = [4 + byte for byte in "€".encode()]
    assert joint_tokenizer.decode(ids) == "€"
    spoken = [speak(joint_tokenizer, ids[:n], is_whole=False) for n in (1, 2, 3)]
    assert ["".join(one.texts) for one in spoken] == ["", "", "€"]
    assert [one.held for one in spoken] == [1, 2, 0]
    cut = speak(joint_tokenizer, ids[:2], is_whole=True)
    assert set("".join(cut.texts)) == {"\ufffd"}
