"""Alembic's environment: it runs on the connection it is given (`sealift.registry.catalog.upgrade`)."""

from alembic import context

from sealift.registry.catalog.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a table by copying it
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
