"""Where Alembic runs a migration: on the connection that `storage.store` hands it."""

from alembic import context

from remit.storage.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
