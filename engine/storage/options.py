"""The ``options`` table: settings that consoles of the family keep in the database, every value as text."""

from __future__ import annotations

from sqlalchemy import select

from engine.storage.database import Database
from engine.storage.tables.core import options


def load(db: Database) -> dict[str, str]:
    """All options; a missing row means the default, which is the reader's to know."""
    with db.read() as connection:
        return {str(key): value or "" for key, value in connection.execute(select(options.c.key, options.c.value))}
