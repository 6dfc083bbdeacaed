"""One moment of a database, however long it is read: nobody waits for it, and what is written meanwhile is not seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from engine.storage.database import Database


@contextmanager
def snapshot(db: Database) -> Iterator[Connection]:
    """A connection whose reads all see the database as it is now."""
    with db.read() as connection:
        kind = connection.dialect.name
        if kind == "mysql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        elif kind == "postgresql":
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.exec_driver_sql("SELECT 1")  # the moment is that of the first read
        else:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("SELECT 1 FROM sqlite_master")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")
