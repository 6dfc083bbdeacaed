"""Sixteenth revision: exchanges that are kept, and the keys whose are; revisions of rows; approvals of drafts."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Connection, column, inspect, select
from sqlalchemy import table as sql_table

from engine.storage.tables import METADATA, own
from engine.storage.tables.ledger import ledger
from engine.storage.tables.releases import drafts, row_revisions
from engine.storage.upgrade.additions import create

revision = "0015"
down_revision = "0014"
_BEFORE = "gatewright_option_history"


def upgrade() -> None:
    """Add tables of ours that are missing, and columns."""
    connection = op.get_bind()
    create(connection, [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    added = ((drafts, drafts.c.hands), (ledger, ledger.c.program), (ledger, ledger.c.rows_revision))
    for table, fresh in added:
        if fresh.name not in {one["name"] for one in inspect(connection).get_columns(table.name)}:
            op.add_column(table.name, fresh._copy())
    _taken_over(connection)


def _taken_over(connection: Connection) -> None:
    """What was noted of options until now becomes revisions of rows."""
    if not inspect(connection).has_table(_BEFORE) or connection.execute(select(row_revisions.c.id).limit(1)).first():
        return
    # a table, as some of its columns have names that a database wants in quotes
    noted = sql_table(_BEFORE, *map(column, ("id", "created_at", "user_id", "name", "before", "after")))
    rows = connection.execute(select(*(part for part in noted.c if part.name != "id")).order_by(noted.c.id))
    for row in rows.mappings().all():
        values = {**row, "created_at": row["created_at"] or 0, "kind": "option", "title": row["name"], "username": ""}
        connection.execute(row_revisions.insert().values(values))
