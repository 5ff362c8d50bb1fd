"""Stored translations, idempotency keys and API keys: SQLite by default, PostgreSQL by URL."""
