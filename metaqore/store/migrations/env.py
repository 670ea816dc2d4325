"""Alembic's environment: runs the migrations over the connection that ``metaqore.store.migrate`` gives."""

from alembic import context

from metaqore.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
