"""JSON as RFC 8259 and RFC 7493 (I-JSON) define it, and nothing that only Python's reader takes.

Python's `json` accepts NaN, lone surrogates, repeated keys, byte order marks and UTF-16; another
reader on the way (a proxy, a filter) reads such a body differently, or fails on it.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from app.errors import FieldError, InvalidInputError, UnreadableRequestError

MAX_NUMBER_LENGTH = 64
"""Longest number in a body, in characters; 64 hold every number that an option can take."""

MAX_POINTER_PART = 64
"""Longest part of a pointer in an error, in characters: a key is the caller's own text."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def parse_json(body: bytes, max_depth: int, max_members: int) -> object:
    """Read one JSON value, whose arrays and objects have at most `max_members` members each.

    Raises:
        UnreadableRequestError: 400; the detail names the byte where reading stopped.
        InvalidInputError: 422 `invalid_unicode`, for escapes of lone surrogates, with their places.
    """
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _invalid("the body starts with a byte order mark; send UTF-8 without one")
    check_depth(body, max_depth)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"byte {error.start} is not UTF-8") from None
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        position = len(text[: error.pos].encode())
        reason = error.msg.removesuffix(" at")
        raise _invalid(f"reading stopped at byte {position}: {reason}") from None
    check_breadth(value, max_members)
    if b"\\u" in body:
        errors = [
            FieldError(pointer, "invalid_unicode", "The string holds half of a surrogate pair.")
            for pointer in _lone_surrogates(value, "")
        ]
        if errors:
            raise InvalidInputError.of(errors[:20])
    return value


def check_depth(body: bytes, max_depth: int) -> None:
    """Refuse a body nested deeper than `max_depth` before a recursive reader meets it."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > max_depth:
            raise UnreadableRequestError(
                "json_too_deep", f"Arrays and objects may be nested {max_depth} deep."
            )


def check_breadth(value: object, max_members: int) -> None:
    """Refuse more members than any request has: validation would make an error of each of them."""
    if not isinstance(value, dict | list):
        return
    if len(value) > max_members:
        raise UnreadableRequestError(
            "json_too_wide", f"An array or object may have {max_members} members."
        )
    for member in value.values() if isinstance(value, dict) else value:
        check_breadth(member, max_members)


def pointer_part(key: object) -> str:
    """One part of a JSON pointer: escaped as RFC 6901 says, in ASCII, and cut to a fixed length."""
    text = str(key)[:MAX_POINTER_PART].encode("ascii", "backslashreplace").decode("ascii")
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return "/" + printable.replace("~", "~0").replace("/", "~1")


def _invalid(reason: str) -> UnreadableRequestError:
    return UnreadableRequestError("invalid_json", f"The body is not JSON: {reason}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableRequestError(
            "duplicate_key", "An object of the body has the same key twice; send each key once."
        )
    return members


def _constant(_: str) -> NoReturn:
    raise _invalid("NaN and Infinity are not JSON numbers")


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise _invalid(f"a number has more than {MAX_NUMBER_LENGTH} characters")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise _invalid(f"a number has more than {MAX_NUMBER_LENGTH} characters")
    number = float(digits)
    if not math.isfinite(number):
        raise _invalid("a number is too large for a double")
    return number


def _lone_surrogates(value: object, pointer: str) -> Iterator[str]:
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            yield pointer
    elif isinstance(value, dict):
        for key, member in value.items():
            inner = pointer + pointer_part(key)
            yield from _lone_surrogates(key, inner)
            yield from _lone_surrogates(member, inner)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _lone_surrogates(item, f"{pointer}/{index}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_constant,
    parse_int=_integer,
    parse_float=_float,
    strict=True,
)
