"""A cursor is good for one owner, one filter, and only as it was written."""

import pytest

from app.errors import InvalidInputError
from app.storage.cursors import CursorSigner, Position

SIGNER = CursorSigner(b"a secret of the tests, 32 bytes.")
POSITION = Position(1_700_000_000_000_000, "A" * 24)


def test_a_cursor_leads_back_to_its_position():
    cursor = SIGNER.write("ann", {"source_lang": "en"}, POSITION)
    assert SIGNER.read("ann", {"source_lang": "en"}, cursor) == POSITION


@pytest.mark.parametrize(
    ("owner", "filters"),
    [("bob", {"source_lang": "en"}), ("ann", {}), ("ann", {"target_lang": "en"}), ("", {})],
)
def test_another_owner_or_filter_cannot_use_it(owner, filters):
    cursor = SIGNER.write("ann", {"source_lang": "en"}, POSITION)
    with pytest.raises(InvalidInputError) as raised:
        SIGNER.read(owner, filters, cursor)
    assert raised.value.code == "bad_cursor"


def test_a_cursor_of_another_service_is_refused():
    cursor = CursorSigner(b"another").write("ann", {}, POSITION)
    with pytest.raises(InvalidInputError):
        SIGNER.read("ann", {}, cursor)


def test_no_changed_character_is_accepted():
    cursor = SIGNER.write("ann", {}, POSITION)
    for position, letter in enumerate(cursor):
        changed = cursor[:position] + ("B" if letter != "B" else "C") + cursor[position + 1 :]
        with pytest.raises(InvalidInputError):
            SIGNER.read("ann", {}, changed)


@pytest.mark.parametrize("cursor", ["", "=", "é", "\0", "a", "%00", "A" * 128, "B" * 10_000])
def test_what_is_no_cursor_at_all_is_refused(cursor):
    with pytest.raises(InvalidInputError):
        SIGNER.read("ann", {}, cursor)
