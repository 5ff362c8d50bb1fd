"""Keys as text."""

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.keys import KEY, MAX_KEY_LENGTH, new_key, read_key


def test_a_new_key_is_read_back_and_only_its_hash_is_kept():
    text, stored = new_key("live")
    assert read_key(text, "live") == stored
    prefix, environment, kid = text.split("_")[:3]
    assert (prefix, environment, kid) == ("atk", "live", stored.kid)
    secret = KEY.fullmatch(text)["secret"]
    assert stored.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr(stored)


def test_keys_do_not_repeat():
    texts = {new_key("live")[0] for _ in range(500)}
    assert len(texts) == 500
    assert all(len(text) <= MAX_KEY_LENGTH for text in texts)


def test_a_key_of_another_environment_is_no_key():
    text, _ = new_key("test")
    assert read_key(text, "live") is None


def test_one_wrong_letter_is_noticed_without_the_database():
    text, stored = new_key("live")
    letters = string.ascii_letters + string.digits
    for position in range(len(text)):
        for letter in ("x", "7", "_", "-"):
            wrong = text[:position] + letter + text[position + 1 :]
            assert wrong == text or read_key(wrong, "live") is None, position
    assert all(read_key(text + letter, "live") is None for letter in letters)
    assert read_key(text, "live") == stored


@given(st.text(st.characters(), max_size=200))
def test_no_other_text_is_a_key(text):
    assert read_key(text, "live") is None


@pytest.mark.parametrize("text", ["", "a" * 1_000_000, "atk_live_", "é" * 70, "Bearer x"])
def test_what_is_far_from_a_key_is_refused(text):
    assert read_key(text, "live") is None
