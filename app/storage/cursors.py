"""Cursors of the list: where a page ended, signed, for one owner and one filter only."""

import base64
import binascii
import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import FieldError, InvalidInputError

MAX_CURSOR_LENGTH = 128
MAC_BYTES = 16
_TIME = struct.Struct(">q")


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page."""

    created_at: int
    id: str


class CursorSigner:
    """Writes cursors and reads back those of its own."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, owner: str, filters: Mapping[str, str], position: Position) -> str:
        """The cursor after `position` in the list of `owner` under `filters`."""
        payload = _TIME.pack(position.created_at) + position.id.encode()
        mac = self._mac(owner, filters, payload)
        return base64.urlsafe_b64encode(mac + payload).decode().rstrip("=")

    def read(self, owner: str, filters: Mapping[str, str], cursor: str) -> Position:
        """Where `cursor` ended.

        Raises:
            InvalidInputError: `bad_cursor`, for one that was not written here, for this owner and
                these filters.
        """
        if len(cursor) > MAX_CURSOR_LENGTH or not cursor.isascii():
            raise _bad_cursor()
        try:
            content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        except binascii.Error:
            raise _bad_cursor() from None
        mac, payload = content[:MAC_BYTES], content[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(owner, filters, payload)):
            raise _bad_cursor()
        (created_at,) = _TIME.unpack_from(payload)
        return Position(created_at, payload[_TIME.size :].decode())

    def _mac(self, owner: str, filters: Mapping[str, str], payload: bytes) -> bytes:
        # As JSON, so that no owner and filter can be read as another pair of them.
        scope = json.dumps([owner, sorted(filters.items())]).encode()
        message = b"\0".join((b"cursor-1", hashlib.sha256(scope).digest(), payload))
        return hmac.digest(self._secret, message, "sha256")[:MAC_BYTES]


def _bad_cursor() -> InvalidInputError:
    message = "Send a cursor as `next_cursor` gave it, with the same filters, or leave it out."
    return InvalidInputError.of([FieldError("/cursor", "bad_cursor", message)])
