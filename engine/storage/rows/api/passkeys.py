"""Passkeys as rows. Knows no rules."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.management import passkeys


def of_user(db: Database, user: int) -> list[Row]:
    """A user's passkeys, oldest first."""
    return crud.listed(db, passkeys, [passkeys.c.user_id == user], [passkeys.c.id])


def by_credential(db: Database, credential: bytes) -> Row | None:
    """The passkey of a credential id."""
    return crud.one(db, passkeys, passkeys.c.hash == _hash(credential))


def asked_for(db: Database, user: int) -> bool:
    """Whether a user has one that is asked for after a password."""
    return crud.one(db, passkeys, passkeys.c.user_id == user, crud.is_on(passkeys.c.asked_for)) is not None


def left(db: Database, connection: Connection, user: int) -> bool:
    """Whether a user has any, inside a transaction that takes some away."""
    return crud.one(db, passkeys, passkeys.c.user_id == user, connection=connection) is not None


def add(db: Database, connection: Connection, credential: bytes, values: Row) -> int:
    """Note a new one. Raises ``IntegrityError`` where somebody has it."""
    return crud.add(db, connection, passkeys, {**values, "hash": _hash(credential)})


def used(db: Database, which: int, before: int, count: int, now: int) -> int:
    """Note a use by the counter that was seen; 0 where another use was quicker."""
    where = [passkeys.c.id == which, passkeys.c.sign_count == before]
    values = {"sign_count": count, "used_at": now}
    return db.write(lambda connection: crud.change(db, connection, passkeys, where, values))


def rename(db: Database, user: int, which: int, name: str) -> int:
    """Give one of a user's another name."""
    where = [passkeys.c.user_id == user, passkeys.c.id == which]
    return db.write(lambda connection: crud.change(db, connection, passkeys, where, {"name": name}))


def drop(db: Database, connection: Connection, user: int, which: int = 0) -> int:
    """Forget one of a user's, or all."""
    where = [passkeys.c.user_id == user, *([passkeys.c.id == which] if which else [])]
    return crud.remove(db, connection, passkeys, where)


def _hash(credential: bytes) -> str:
    return hashlib.sha256(credential).hexdigest()
