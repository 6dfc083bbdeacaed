"""How long log rows are kept. From when on they are there is noted: the books are not compared with what is gone.

Balances, sums and the ledger stay as they are. Gives counts; knows no settings.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from engine.storage.database import Database
from engine.storage.rows import calls, crud
from engine.storage.tables.own import facts, log_extra

_FROM = "logs_from"


def clean(db: Database, log_db: Database, before: int) -> int:
    """Delete log rows older than a moment (Unix seconds); how many."""

    def note(connection: Connection) -> None:
        if before > noted(connection):
            values = {"value": str(before)}
            if not crud.change(db, connection, facts, [facts.c.name == _FROM], values):
                crud.add(db, connection, facts, {"name": _FROM, **values})

    if facts.name in db.columns:
        db.write(note)  # first: whoever compares meanwhile must not miss what is going
    count = calls.clean(log_db, before)
    if log_extra.name in log_db.columns:
        log_db.write(lambda connection: connection.execute(delete(log_extra).where(log_extra.c.created_at < before)))
    return count


def noted(connection: Connection) -> int:
    """From which moment on log rows were kept; 0: all were."""
    text = connection.execute(select(facts.c.value).where(facts.c.name == _FROM)).scalar()
    return int(text) if text else 0


def kept_from(db: Database) -> int:
    """The same, of an open database."""
    if facts.name not in db.columns:
        return 0
    with db.read() as connection:
        return noted(connection)
