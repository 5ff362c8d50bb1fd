import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInputError, UnreadableRequestError
from app.strict_json import MAX_POINTER_PART, parse_json, pointer_part

MEMBERS = 50

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_reads_whatever_json_can_say(value):
    assert parse_json(json.dumps(value).encode(), 64, MEMBERS) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(), 64, MEMBERS) == value


@given(st.binary())
def test_any_bytes_are_a_value_or_a_service_error(body):
    with contextlib.suppress(UnreadableRequestError, InvalidInputError):
        parse_json(body, 16, MEMBERS)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a": 1} x', "invalid_json"),
        (b'{"a": 1,}', "invalid_json"),
        (b'// no\n{"a": 1}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        ('{"text": "x"}'.encode("utf-16"), "invalid_json"),
        ('{"text": "x"}'.encode("utf-16-le"), "invalid_json"),
        ('{"text": "x"}'.encode("utf-32"), "invalid_json"),
        (b'{"text": "\xff"}', "invalid_json"),
        (b'{"text": "\xed\xa0\x80"}', "invalid_json"),
        (b'{"text": "\xc0\xaf"}', "invalid_json"),
        (b'{"text": "a\nb"}', "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": -Infinity}', "invalid_json"),
        (b'{"a": 1e999}', "invalid_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b'{"a": 0.' + b"9" * 5000 + b"}", "invalid_json"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "duplicate_key"),
        (b"[" * 17 + b"]" * 17, "json_too_deep"),
        (b"[" * 250_000, "json_too_deep"),
        (b'{"a":' * 250_000, "json_too_deep"),
    ],
)
def test_refuses_what_is_not_one_plain_json_value(body, code):
    with pytest.raises(UnreadableRequestError) as caught:
        parse_json(body, 16, MEMBERS)
    assert caught.value.code == code


def test_brackets_inside_strings_do_not_nest():
    assert parse_json(json.dumps({"a": '["\\[' * 40}).encode(), 4, MEMBERS) == {"a": '["\\[' * 40}
    assert parse_json(b"[" * 16 + b"]" * 16, 16, MEMBERS)


@pytest.mark.parametrize(
    "make", [list, lambda n: dict.fromkeys(map(str, n)), lambda n: [{"a": [*n]}]]
)
def test_arrays_and_objects_have_a_largest_number_of_members(make):
    for count in (MEMBERS - 1, MEMBERS):
        value = make(range(count))
        assert parse_json(json.dumps(value).encode(), 16, MEMBERS) == value
    with pytest.raises(UnreadableRequestError) as caught:
        parse_json(json.dumps(make(range(MEMBERS + 1))).encode(), 16, MEMBERS)
    assert caught.value.code == "json_too_wide"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"text": "a\\ud800b"}', "/text"),
        (b'{"text": ["fine", "\\udc00\\ud800"]}', "/text/1"),
        (b'{"a\\ud83d": 1}', "/a\\ud83d"),
        (b'"\\ud800"', ""),
    ],
)
def test_half_a_surrogate_pair_is_named_by_its_place(body, pointer):
    with pytest.raises(InvalidInputError) as caught:
        parse_json(body, 16, MEMBERS)
    assert caught.value.code == "invalid_unicode"
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_a_whole_surrogate_pair_is_a_character():
    assert parse_json(b'"\\ud83d\\ude00"', 16, MEMBERS) == "😀"


def test_the_byte_where_reading_stopped_is_named():
    with pytest.raises(UnreadableRequestError, match="byte 8"):
        parse_json('["é", "b'.encode()[:8] + b"\x00", 16, MEMBERS)


def test_pointer_parts_are_short_escaped_ascii():
    assert pointer_part("a/b~c") == "/a~1b~0c"
    assert pointer_part("é\n") == "/\\xe9?"
    assert len(pointer_part("x" * 10_000)) == MAX_POINTER_PART + 1
