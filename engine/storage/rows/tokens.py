"""Keys as rows of their user: listed, searched, made, changed, deleted. Knows no rules."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Guard, Row
from engine.storage.tables.core import tokens
from engine.storage.values import ENABLED, EXHAUSTED, EXPIRED


def mine(db: Database, user: int, which: int) -> Row | None:
    """A key of a user."""
    return crud.one(db, tokens, tokens.c.id == which, tokens.c.user_id == user, *crud.alive(db, tokens))


def age(db: Database, user: int) -> None:
    """Note on the user's keys which have expired or are used up, as lists show it."""
    now = int(time.time())
    mine_on = [tokens.c.user_id == user, tokens.c.status == ENABLED, *crud.alive(db, tokens)]
    over = [*mine_on, tokens.c.expired_time != -1, tokens.c.expired_time <= now, tokens.c.expired_time > 0]
    empty = [*mine_on, crud.is_off(tokens.c.unlimited_quota), tokens.c.remain_quota <= 0]
    if not crud.count(db, tokens, over, most=1) and not crud.count(db, tokens, empty, most=1):
        return

    def work(connection: Connection) -> None:
        connection.execute(update(tokens).where(*over).values(status=EXPIRED))
        connection.execute(update(tokens).where(*empty).values(status=EXHAUSTED))

    db.write(work)


def page(
    db: Database, user: int, *, name: str = "", key: str = "", offset: int = 0, limit: int = 10
) -> tuple[list[Row], int]:
    """A page of a user's keys, newest first; ``%`` in a name or key stands for anything."""
    where: list[Any] = [tokens.c.user_id == user, *crud.alive(db, tokens)]
    if key and "%" not in key:
        key = db.keys.kept(key)
    for column, text in ((tokens.c.name, name), (tokens.c.key, key)):
        if text:
            where.append(column.like(text) if "%" in text else column == text)
    order = [tokens.c.id.desc()]
    return crud.listed(db, tokens, where, order, offset=offset, limit=limit), crud.count(db, tokens, where)


def states(db: Database, user: int) -> dict[int, int]:
    """How many keys of a user have each status."""
    chosen = select(tokens.c.status, func.count()).where(tokens.c.user_id == user, *crud.alive(db, tokens))
    with db.read() as reader:
        return {int(row[0] or 0): int(row[1]) for row in reader.execute(chosen.group_by(tokens.c.status))}


def several(db: Database, user: int, ids: Sequence[int]) -> list[Row]:
    """Those of the keys that are the user's."""
    where = [tokens.c.user_id == user, tokens.c.id.in_(list(ids)), *crud.alive(db, tokens)]
    return crud.listed(db, tokens, where)


def add(db: Database, connection: Connection, values: Mapping[str, Any]) -> int:
    """Make a key."""
    return crud.add(db, connection, tokens, values)


def change(db: Database, connection: Connection, user: int, which: int, values: Mapping[str, Any]) -> int:
    """Change a key of a user."""
    return crud.change(db, connection, tokens, [tokens.c.id == which, tokens.c.user_id == user], values)


def guarded(db: Database, connection: Connection, user: int, which: int, guard: Guard | None) -> None:
    """Have a key's row looked at before it is changed."""
    crud.guarded(db, connection, tokens, and_(tokens.c.id == which, tokens.c.user_id == user), guard)


def bury(db: Database, connection: Connection, user: int, ids: Sequence[int]) -> int:
    """Delete keys of a user; how many there were."""
    return crud.bury(db, connection, tokens, [tokens.c.user_id == user, tokens.c.id.in_(list(ids))])
