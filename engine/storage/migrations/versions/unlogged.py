"""Third revision: the ledger knows which calls have no log row because their operator wants none."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from engine.storage.tables.ledger import ledger

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add; a table that was made a moment ago has the column already."""
    columns = {column["name"] for column in inspect(op.get_bind()).get_columns(ledger.name)}
    if ledger.c.logged.name not in columns:
        op.add_column(ledger.name, ledger.c.logged._copy())
