"""The keys in the database: whose they are, what they may do, until when. Never their secrets."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.clock import SECOND, Clock, utc_microseconds
from app.storage.database import Database
from app.storage.tables import api_keys

USE_SECONDS = 3_600
"""`last_used_at` is true to so many seconds, so that using a key does not write each time."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored. Times are microseconds since 1970 in UTC."""

    kid: str
    secret_hash: str
    owner: str
    scopes: tuple[str, ...]
    note: str
    created_at: int
    expires_at: int
    revoked_at: int | None = None
    last_used_at: int | None = None

    def is_good(self, secret_hash: str, now: int) -> bool:
        """Whether this is its secret, and it is neither expired nor revoked."""
        matches = hmac.compare_digest(self.secret_hash, secret_hash)
        return matches and self.revoked_at is None and now < self.expires_at


class ApiKeys:
    """The keys of all owners, for the operator and for looking one up."""

    def __init__(self, database: Database, clock: Clock = utc_microseconds) -> None:
        self._database = database
        self._clock = clock

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        row = {name: getattr(key, name) for name in ApiKey.__slots__}
        row["scopes"] = " ".join(key.scopes)

        async def insert_key(connection: AsyncConnection) -> None:
            await connection.execute(insert(api_keys).values(row))

        await self._database.write(insert_key)

    async def find(self, kid: str) -> ApiKey | None:
        """The key of this id, good or not."""
        rows = await self._rows(select(api_keys).where(api_keys.c.kid == kid))
        return _api_key(rows[0]) if rows else None

    async def list_all(self) -> list[ApiKey]:
        """All keys, oldest first."""
        rows = await self._rows(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.kid))
        return [_api_key(row) for row in rows]

    async def exist(self) -> bool:
        """Whether there was ever a key: then requests need one, also when all are revoked."""
        return bool(await self._rows(select(api_keys).limit(1)))

    async def revoke(self, kid: str) -> bool:
        """Make a key useless from now on; False where there is none that still was of use."""
        revoked = update(api_keys).where(api_keys.c.kid == kid, api_keys.c.revoked_at.is_(None))

        async def revoke_key(connection: AsyncConnection) -> int:
            result = await connection.execute(revoked.values(revoked_at=self._clock()))
            return result.rowcount

        return await self._database.write(revoke_key) == 1

    async def note_use(self, key: ApiKey) -> None:
        """Write down that `key` is in use, unless that was done in the last hour."""
        now = self._clock()
        if key.last_used_at is not None and now - key.last_used_at < USE_SECONDS * SECOND:
            return
        used = update(api_keys).where(api_keys.c.kid == key.kid).values(last_used_at=now)

        async def write_use(connection: AsyncConnection) -> None:
            await connection.execute(used)

        await self._database.write(write_use)

    async def _rows(self, wanted: Any) -> Sequence[Row[Any]]:  # noqa: ANN401 - any select
        async def fetch(connection: AsyncConnection) -> Sequence[Row[Any]]:
            rows: Sequence[Row[Any]] = (await connection.execute(wanted)).all()
            return rows

        return await self._database.read(fetch)


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(**{**row._asdict(), "scopes": tuple(row.scopes.split())})
