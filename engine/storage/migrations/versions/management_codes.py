"""Eighth revision: mailed codes, scopes of access tokens, and the facts that workers take turns by."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect, select

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add; a table that was made a moment ago has the column already."""
    connection = op.get_bind()
    create(connection, [table for table in METADATA.sorted_tables if table.name.startswith(own.PREFIX)])
    columns = {column["name"] for column in inspect(connection).get_columns(own.access_tokens.name)}
    if own.access_tokens.c.scope.name not in columns:
        op.add_column(own.access_tokens.name, own.access_tokens.c.scope._copy())
    for name in ("audit_hash", "changed", "hours"):
        if connection.execute(select(own.facts.c.name).where(own.facts.c.name == name)).first() is None:
            connection.execute(own.facts.insert().values(name=name, value=""))
