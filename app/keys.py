"""API keys as text: `atk_<environment>_<id>_<secret>_<checksum>`.

The prefix lets scanners find a key that was published by accident, the checksum refuses a mistyped
one without asking the database. The secret has 256 random bits, so that a plain SHA-256 keeps it
(OWASP ASVS 5.0, 6.5.2): a slow hash is for what people choose.
"""

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["translate", "records:read", "records:delete", "models:read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT_SCOPES: tuple[Scope, ...] = SCOPES[:-1]

SECRET_BYTES = 32
ID_LENGTH = 8
ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
CHECKSUM_LENGTH = 6
CHECKSUM_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MAX_KEY_LENGTH = 96

KEY = re.compile(
    r"atk_(?P<environment>[a-z0-9]{1,12})_(?P<kid>[a-z2-7]{8})_(?P<secret>[\w-]{43})_"
    r"(?P<checksum>[0-9A-Za-z]{6})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key that is written correctly; whether it is good, the database knows."""

    kid: str
    secret_hash: str


def new_key(environment: str) -> tuple[str, PresentedKey]:
    """A new key: its text, to be shown once, and what is stored of it."""
    kid = "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    unchecked = f"atk_{environment}_{kid}_{secret}"
    return f"{unchecked}_{_checksum(unchecked)}", PresentedKey(kid, _hash(secret))


def read_key(text: str, environment: str) -> PresentedKey | None:
    """What is looked up for `text`; None where it cannot be a key of this environment."""
    if len(text) > MAX_KEY_LENGTH:
        return None
    found = KEY.fullmatch(text)
    if found is None or found["environment"] != environment:
        return None
    if found["checksum"] != _checksum(text.rpartition("_")[0]):
        return None
    return PresentedKey(found["kid"], _hash(found["secret"]))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(CHECKSUM_DIGITS))
        digits = CHECKSUM_DIGITS[digit] + digits
    return digits
