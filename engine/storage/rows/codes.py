"""Redemption codes as rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, or_

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.channel_edits import escaped
from engine.storage.rows.crud import Guard, Row
from engine.storage.tables.billing import redemptions

_UNUSED = 1


def one(db: Database, which: int) -> Row | None:
    """A code by id."""
    return crud.one(db, redemptions, redemptions.c.id == which, *crud.alive(db, redemptions))


def page(db: Database, keyword: str, status: str, offset: int, limit: int) -> tuple[list[Row], int]:
    """A page of codes, newest first: by id or how the name begins, and by state."""
    where: list[Any] = list(crud.alive(db, redemptions))
    if keyword:
        by_id = (
            [redemptions.c.id == int(keyword)] if keyword.isascii() and keyword.isdigit() and len(keyword) < 18 else []
        )
        where.append(or_(redemptions.c.name.like(f"{escaped(keyword)}%", escape="!"), *by_id))
    expires = "expired_time" in db.columns.get("redemptions", ())
    now = int(time.time())
    if status == "expired" and expires:
        where += [redemptions.c.status == _UNUSED, redemptions.c.expired_time > 0, redemptions.c.expired_time <= now]
    elif status.isdigit() and len(status) < 3:
        where.append(redemptions.c.status == int(status))
    order = [redemptions.c.id.desc()]
    rows = crud.listed(db, redemptions, where, order, offset=offset, limit=limit)
    return rows, crud.count(db, redemptions, where)


def change(db: Database, which: int, values: Mapping[str, Any], guard: Guard | None = None) -> int:
    """Change a code."""

    def work(connection: Connection) -> int:
        crud.guarded(db, connection, redemptions, redemptions.c.id == which, guard)
        return crud.change(db, connection, redemptions, [redemptions.c.id == which], values)

    return db.write(work)


def bury(db: Database, which: int, guard: Guard | None = None) -> int:
    """Delete a code."""

    def work(connection: Connection) -> int:
        crud.guarded(db, connection, redemptions, redemptions.c.id == which, guard)
        return crud.bury(db, connection, redemptions, [redemptions.c.id == which])

    return db.write(work)


def bury_dead(db: Database) -> int:
    """Delete the codes that are used, disabled or expired; how many."""
    dead: list[Any] = [redemptions.c.status != _UNUSED]
    if "expired_time" in db.columns.get("redemptions", ()):
        now = int(time.time())
        dead.append((redemptions.c.expired_time > 0) & (redemptions.c.expired_time <= now))

    def work(connection: Connection) -> int:
        return crud.bury(db, connection, redemptions, [or_(*dead)])

    return db.write(work)
