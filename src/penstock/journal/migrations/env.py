"""How Alembic runs the migrations: over the connection it is given, or (for the snapshot) without any."""

from __future__ import annotations

from alembic import context

from penstock.journal.schema import metadata

_given = context.config.attributes

if context.is_offline_mode():
    context.configure(dialect_name=_given["dialect"], target_metadata=metadata, transactional_ddl=False)
    context.run_migrations()
else:
    context.configure(connection=_given["connection"], target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
