"""Run by Alembic: `app/storage/migration.py` hands the connection and its transaction in."""

from alembic import context

from app.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
