"""First revision: all tables in a fresh database, only ours in one that another program made."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Connection, inspect, select

from engine.storage.tables import METADATA, own
from engine.storage.upgrade.additions import create
from engine.storage.upgrade.origin import FRESH, identify

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Note what the database was, then add."""
    connection = op.get_bind()
    own.facts.create(connection, checkfirst=True)
    if _noted(connection) is None:
        # noted first: on MySQL tables stay when a start is cut short, and must not pass for another program's later
        present = {
            name: {str(c["name"]) for c in cs} for (_, name), cs in inspect(connection).get_multi_columns().items()
        }
        origin = identify(present) or FRESH
        rows = [{"name": "origin", "value": origin.program}, {"name": "numbering", "value": origin.numbering}]
        connection.execute(own.facts.insert(), rows)
    if _noted(connection) == FRESH.program:
        create(connection, METADATA.sorted_tables)
    else:
        create(connection, [own.facts, own.log_extra])


def _noted(connection: Connection) -> str | None:
    return connection.execute(select(own.facts.c.value).where(own.facts.c.name == "origin")).scalar()
