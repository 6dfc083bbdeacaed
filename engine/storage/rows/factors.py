"""Second factors and their backup codes as rows."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.auth import two_fa_backup_codes, two_fas


def there(db: Database) -> bool:
    """Whether this database has a place for them."""
    return two_fas.name in db.columns and two_fa_backup_codes.name in db.columns


def of(db: Database, user: int) -> Row | None:
    """A user's second factor, switched on or not."""
    return crud.one(db, two_fas, two_fas.c.user_id == user, *crud.alive(db, two_fas)) if there(db) else None


def codes(db: Database, user: int) -> list[Row]:
    """A user's backup codes that are not used."""
    where = [two_fa_backup_codes.c.user_id == user, crud.is_off(two_fa_backup_codes.c.is_used)]
    return crud.listed(db, two_fa_backup_codes, [*where, *crud.alive(db, two_fa_backup_codes)])


def count(db: Database) -> int:
    """How many are switched on."""
    return crud.count(db, two_fas, [crud.is_on(two_fas.c.is_enabled), *crud.alive(db, two_fas)]) if there(db) else 0


def put(db: Database, connection: Connection, user: int, secret: str, hashes: Sequence[str]) -> None:
    """Note a factor that is not switched on yet, in place of any before."""
    drop(db, connection, user)
    now = datetime.datetime.now(datetime.UTC)
    row = {"user_id": user, "secret": secret, "is_enabled": False, "failed_attempts": 0}
    crud.add(db, connection, two_fas, {**row, "created_at": now, "updated_at": now})
    put_codes(db, connection, user, hashes)


def put_codes(db: Database, connection: Connection, user: int, hashes: Sequence[str]) -> None:
    """Note backup codes in place of those before."""
    crud.remove(db, connection, two_fa_backup_codes, [two_fa_backup_codes.c.user_id == user])
    now = datetime.datetime.now(datetime.UTC)
    for code_hash in hashes:
        row = {"user_id": user, "code_hash": code_hash, "is_used": False, "created_at": now}
        crud.add(db, connection, two_fa_backup_codes, row)


def change(db: Database, connection: Connection, user: int, values: dict[str, Any]) -> int:
    """Change a user's factor."""
    now = datetime.datetime.now(datetime.UTC)
    return crud.change(db, connection, two_fas, [two_fas.c.user_id == user], {**values, "updated_at": now})


def use(db: Database, code: int) -> int:
    """Take a backup code, once; 0 where it was taken before."""
    where = [two_fa_backup_codes.c.id == code, crud.is_off(two_fa_backup_codes.c.is_used)]
    values = {"is_used": True, "used_at": datetime.datetime.now(datetime.UTC)}
    return db.write(lambda connection: crud.change(db, connection, two_fa_backup_codes, where, values))


def drop(db: Database, connection: Connection, user: int, *, keep_codes: bool = False) -> int:
    """Forget a user's factor, and its backup codes unless they are kept."""
    if not keep_codes:
        crud.remove(db, connection, two_fa_backup_codes, [two_fa_backup_codes.c.user_id == user])
    return crud.remove(db, connection, two_fas, [two_fas.c.user_id == user])
