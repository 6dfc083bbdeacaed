"""Fifteenth revision: the ledger knows which calls a plan paid, and what was given back to a plan at its resets."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from engine.storage.tables.ledger import ledger
from engine.storage.tables.own import grants

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add; tables that were made a moment ago have the columns already."""
    for table, column in ((ledger, ledger.c.plan), (grants, grants.c.plan_id)):
        columns = {one["name"] for one in inspect(op.get_bind()).get_columns(table.name)}
        if column.name not in columns:
            op.add_column(table.name, column._copy())
