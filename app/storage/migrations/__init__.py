"""Alembic's folder: each file of `versions/` is one change of the schema."""
