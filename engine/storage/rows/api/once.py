"""Calls that may be sent twice, as rows. Knows no secrets: names are hashes, answers are sealed."""

from __future__ import annotations

import time

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.management import once

KEPT = 86_400


def claim(db: Database, name: str, request: str) -> Row | None:
    """Note that a call begins; the row that was there, where one was. Old rows go."""
    now = int(time.time())

    def work(connection: Connection) -> None:
        crud.remove(db, connection, once, [once.c.created_at < now - KEPT])
        row = {"name": name, "request": request, "answer": "", "created_at": now}
        crud.add(db, connection, once, row)

    try:
        db.write(work)
    except StatementError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        return crud.one(db, once, once.c.name == name)
    return None


def keep(db: Database, name: str, answer: str) -> None:
    """Note what was answered."""
    db.write(lambda connection: crud.change(db, connection, once, [once.c.name == name], {"answer": answer}))


def drop(db: Database, name: str) -> None:
    """Forget a call."""
    db.write(lambda connection: crud.remove(db, connection, once, [once.c.name == name]))
