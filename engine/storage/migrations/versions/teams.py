"""Seventeenth revision: teams with their members, projects and tags; budgets that roll over."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from engine.storage.tables import METADATA, own
from engine.storage.tables.own import budgets
from engine.storage.upgrade.additions import create

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add; tables that were made a moment ago have the columns already."""
    create(op.get_bind(), [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    columns = {column["name"] for column in inspect(op.get_bind()).get_columns(budgets.name)}
    for column in (budgets.c.rollover, budgets.c.declared):
        if column.name not in columns:
            op.add_column(budgets.name, column._copy())
