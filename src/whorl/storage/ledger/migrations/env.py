"""Alembic's entry: runs the revisions on the connection that `Ledger.open` hands over, inside its transaction."""

from alembic import context

from whorl.storage.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
