"""Secrets that documents name by ``secretRef: {db: NAME}``: never shown, encrypted where CRYPTO_SECRET is set."""

from __future__ import annotations

import re
import time

from sqlalchemy import Connection, select

from engine.errors import Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import crud, trail
from engine.storage.tables.releases import secrets
from engine.storage.vault import DOCUMENT_SECRET

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST = 16_384
"""Characters of a secret."""


def put(db: Database, name: str, value: str, user: int = 0) -> None:
    """Keep a secret under a name; every worker has it within a second."""
    if not _NAME.fullmatch(name):
        raise Invalid("name", "a secret's name has letters, digits, dot, dash and underscore, 64 at most")
    if not value or len(value) > MOST or any(character in value for character in "\r\n\0"):
        raise Invalid("value", f"a secret is one line of 1 to {MOST:,} characters")
    row = {"value": db.vault.seal(value, DOCUMENT_SECRET), "changed_at": int(time.time()), "user_id": user}

    def work(connection: Connection) -> None:
        if not crud.change(db, connection, secrets, [secrets.c.name == name], row):
            crud.add(db, connection, secrets, {"name": name, **row})
        trail.changed(db, connection)

    db.write(work)


def one(db: Database, name: str) -> str | None:
    """A secret as it stands now; nothing where there is none."""
    row = crud.one(db, secrets, secrets.c.name == name)
    return None if row is None else db.vault.open(row["value"] or "", DOCUMENT_SECRET)


def renew(db: Database, name: str, old: str, new: str) -> bool:
    """Put a secret in another's place; False where that does not stand there any more."""

    def work(connection: Connection) -> int:
        row = crud.one(db, secrets, secrets.c.name == name, connection=connection)
        if row is None or db.vault.open(row["value"] or "", DOCUMENT_SECRET) != old:
            return 0
        values = {"value": db.vault.seal(new, DOCUMENT_SECRET), "changed_at": int(time.time())}
        trail.changed(db, connection)
        return crud.change(db, connection, secrets, [secrets.c.name == name, secrets.c.value == row["value"]], values)

    return bool(db.write(work))


def drop(db: Database, name: str) -> None:
    """Take a secret away."""

    def work(connection: Connection) -> int:
        trail.changed(db, connection)
        return crud.remove(db, connection, secrets, [secrets.c.name == name])

    if not db.write(work):
        raise NotFound(f"there is no secret {name!r} in the database")


def listed(db: Database) -> list[tuple[str, int]]:
    """Name and time of the last change of each secret."""
    rows = crud.listed(db, secrets, (), [secrets.c.name])
    return [(row["name"], int(row["changed_at"] or 0)) for row in rows]


def load(db: Database) -> dict[str, str]:
    """All secrets by name; one that can't be decrypted is left out, and that is logged."""
    if secrets.name not in db.columns:
        return {}
    with db.read() as connection:
        rows = connection.execute(select(secrets.c.name, secrets.c.value)).all()
    values, left_out = db.vault.open_each(rows, DOCUMENT_SECRET, "secret")
    db.sealed_out.say(left_out)
    return values
