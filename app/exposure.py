"""Whether the service may listen where it is told to: without keys, on this machine only."""

import ipaddress

from app.settings import Settings
from app.storage.api_keys import ApiKeys
from app.storage.database import Database


class ExposureError(Exception):
    """Anybody could use the service from elsewhere, and nobody has said that this is meant."""


async def check_exposure(settings: Settings, host: str) -> str:
    """Check and prepare the database, and say in one line who may use the service at `host`.

    Raises:
        ExposureError: there are no keys, `host` is reached from elsewhere, and `allow_anonymous`
            is off.
        StorageStartupError: the database cannot be used.
    """
    database = await Database.open(settings)
    try:
        keys_exist = await ApiKeys(database).exist()
    finally:
        await database.close()
    if keys_exist:
        return "Requests need a key (python -m app keys list)."
    if is_loopback(host):
        return "There are no keys, so it is open to this machine only (python -m app keys create)."
    if settings.allow_anonymous:
        return "There are no keys and SOFTALIGN_ALLOW_ANONYMOUS is set: it is open to everybody."
    raise ExposureError(
        f"there are no keys, and at {host} other machines could use the service; make a key "
        "(python -m app keys create --owner NAME), or set SOFTALIGN_ALLOW_ANONYMOUS=true if "
        "everybody may use it"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
