"""Codes and links that were mailed, as rows: by hashes, with an end and a number of tries."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.management import mailed


def put(db: Database, name: str, hashed: str, ends: int) -> None:
    """Note a code in place of the one before; those whose time is over go."""

    def work(connection: Connection) -> None:
        crud.remove(db, connection, mailed, [mailed.c.expires_at < int(time.time())])
        crud.remove(db, connection, mailed, [mailed.c.name == name])
        crud.add(db, connection, mailed, {"name": name, "hash": hashed, "tries": 0, "expires_at": ends})

    db.write(work)


def tried(db: Database, name: str, most: int) -> Row | None:
    """The code of a name, the try counted; nothing where there is none, its time is over, or it was tried too often."""

    def work(connection: Connection) -> Row | None:
        where = [mailed.c.name == name, mailed.c.expires_at > int(time.time()), mailed.c.tries < most]
        if not crud.change(db, connection, mailed, where, {"tries": mailed.c.tries + 1}):
            return None
        return crud.one(db, mailed, mailed.c.name == name, connection=connection)

    return db.write(work)


def used(db: Database, name: str, hashed: str) -> bool:
    """Forget a code that was used; false where somebody else was first."""
    where = [mailed.c.name == name, mailed.c.hash == hashed]
    return db.write(lambda connection: crud.remove(db, connection, mailed, where)) == 1
