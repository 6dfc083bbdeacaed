"""Nineteenth revision: cost, first bytes, losses, errors and buckets in sums of hours."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from engine.storage.tables import METADATA, own
from engine.storage.tables.management import hours
from engine.storage.upgrade.additions import create

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add; a version before writes sums without the new columns, which are 0 then."""
    connection = op.get_bind()
    create(connection, [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    there = {column["name"] for column in inspect(connection).get_columns(hours.name)}
    for column in hours.columns:
        if column.name not in there:
            op.add_column(hours.name, column._copy())
