"""Twentieth revision: tags of calls in the ledger, by key, and the names of those that are summed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from engine.storage.tables import METADATA, own
from engine.storage.tables.ledger import ledger
from engine.storage.upgrade.additions import create

revision = "0020"
down_revision = "0018"


def upgrade() -> None:
    """Add; entries of a version before have no tags."""
    connection = op.get_bind()
    create(connection, [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    if ledger.c.tags.name not in {column["name"] for column in inspect(connection).get_columns(ledger.name)}:
        op.add_column(ledger.name, ledger.c.tags._copy())
