"""The tables, the same on SQLite and PostgreSQL; `migrations/` is how a database gets them.

Times are whole microseconds since 1970 in UTC, so that both back ends compare and return the same.
Texts of callers stand in compressed bytes: PostgreSQL's text type cannot hold U+0000.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
)

OWNER_LENGTH = 64

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

records = Table(
    "records",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("owner", String(OWNER_LENGTH), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("model", String(256), nullable=False),
    Column("source_lang", String(35), nullable=False),
    Column("target_lang", String(35), nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("sources", LargeBinary, nullable=False),
    Column("result", LargeBinary, nullable=False),
    Column("layout", LargeBinary, nullable=False),
    Column("matrices", LargeBinary, nullable=False),
    Index("ix_records_owner_created_at_id", "owner", "created_at", "id"),
    Index("ix_records_expires_at", "expires_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", String(OWNER_LENGTH), primary_key=True),
    Column("key_hash", String(64), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("record_id", String(24), ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Index("ix_idempotency_keys_record_id", "record_id"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("kid", String(8), primary_key=True),
    Column("secret_hash", String(64), nullable=False),
    Column("owner", String(OWNER_LENGTH), nullable=False),
    Column("scopes", String(256), nullable=False),
    Column("note", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)

service_secrets = Table(
    "service_secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""What all replicas share and nobody has to configure: the key that signs cursors."""
