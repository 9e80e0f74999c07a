"""What Alembic runs: it gets the connection from `store.migrate` and stays in the transaction that was opened there."""

from alembic import context

from store import columns

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=columns.METADATA,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
