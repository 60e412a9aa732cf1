"""Alembic's door to the tables; the connection is handed in by issuer.store.schema."""

from alembic import context

from issuer.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
