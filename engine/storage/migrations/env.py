"""Alembic's entry: runs the revisions on the connection that ``bring_up`` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from engine.storage.migrations import VERSION_TABLE
from engine.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
