"""Users as rows: found by id or name, listed, searched, changed. Knows no rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, or_, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.api import identities
from engine.storage.rows.crud import Guard, Row
from engine.storage.tables.core import tokens, users

SORTED = ("id", "username", "quota", "group", "created_at", "last_login_at")


def by_id(db: Database, which: int, *, deleted: bool = False) -> Row | None:
    """A user by id; deleted ones only where asked for."""
    return crud.one(db, users, users.c.id == which, *([] if deleted else crud.alive(db, users)))


def held_balance(connection: Connection, which: int) -> int:
    """A user's balance, held until the transaction ends; 0 for one who is not there."""
    return int(connection.execute(select(users.c.quota).where(users.c.id == which).with_for_update()).scalar() or 0)


def by_login(db: Database, name: str) -> Row | None:
    """A user who is there, by name or e-mail, as logins name one."""
    where = or_(users.c.username == name, users.c.email == name) if "@" in name else users.c.username == name
    rows = crud.listed(db, users, [where, *crud.alive(db, users)], [users.c.id], limit=5)
    # MySQL compares without case
    exact = [row for row in rows if name in (row.get("username"), row.get("email"))]
    return exact[0] if exact else None


def by_old_token(db: Database, token: str) -> Row | None:
    """Whose access token this is, in the column where older programs keep it in clear."""
    row = crud.one(db, users, users.c.access_token == token, *crud.alive(db, users))
    return row if row is not None and (row.get("access_token") or "").rstrip() == token else None


def taken(db: Database, name: str, connection: Connection | None = None) -> bool:
    """Whether a name is in use; those of deleted users count."""
    return crud.one(db, users, users.c.username == name, connection=connection) is not None


def page(
    db: Database, where: Sequence[Any], sort: str, *, descending: bool, offset: int, limit: int
) -> tuple[list[Row], int]:
    """A page of users and how many there are."""
    column = users.c[sort if sort in SORTED else "id"]
    order = [column.desc() if descending else column.asc(), users.c.id.desc()]
    return crud.listed(db, users, where, order, offset=offset, limit=limit), crud.count(db, users, where)


def matching(db: Database, keyword: str, group: str, role: int | None, status: int | None) -> list[Any]:
    """The conditions of a search; status -1 is: deleted."""
    where: list[Any] = []
    if keyword:
        pattern = f"%{_escaped(keyword)}%"
        texts = [users.c.username, users.c.email, users.c.display_name]
        where.append(
            or_(
                *(column.like(pattern, escape="!") for column in texts),
                *(
                    [users.c.id == int(keyword)]
                    if keyword.isascii() and keyword.isdigit() and len(keyword) < 18
                    else []
                ),
            )
        )
    if group:
        where.append(users.c.group == group)
    if role is not None:
        where.append(users.c.role == role)
    if status == -1 and "deleted_at" in db.columns.get("users", ()):
        where.append(users.c.deleted_at.is_not(None))
    elif status is not None:
        where += [users.c.status == status, *crud.alive(db, users)]
    return where


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def by_email(db: Database, address: str) -> Row | None:
    """A user who is there, by the whole address."""
    rows = crud.listed(db, users, [users.c.email == address, *crud.alive(db, users)], [users.c.id], limit=5)
    return next((row for row in rows if row.get("email") == address), None)


def change(db: Database, connection: Connection, which: int, values: Mapping[str, Any], *, end: bool = False) -> int:
    """Change a user; with ``end`` all logins made before are over."""
    if end and "auth_version" in db.columns.get("users", ()):
        values = {**values, "auth_version": func.coalesce(users.c.auth_version, 1) + 1}
    return crud.change(db, connection, users, [users.c.id == which], values)


def guarded(db: Database, connection: Connection, which: int, guard: Guard | None) -> None:
    """Have a user's row looked at before it is changed."""
    crud.guarded(db, connection, users, users.c.id == which, guard)


def erase(db: Database, connection: Connection, which: int) -> int:
    """Delete a user for good; keys and outside identities go too."""
    crud.bury(db, connection, tokens, [tokens.c.user_id == which])
    identities.forget(db, connection, which)
    return crud.remove(db, connection, users, [users.c.id == which])


def bury(db: Database, connection: Connection, which: int) -> int:
    """Mark a user as deleted, and the keys."""
    crud.bury(db, connection, tokens, [tokens.c.user_id == which])
    return crud.bury(db, connection, users, [users.c.id == which])


def newest(db: Database) -> int:
    """The highest id that a user has."""
    with db.read() as reader:
        return int(reader.execute(select(func.max(users.c.id))).scalar() or 0)


def roots(db: Database) -> int:
    """How many there are who may do anything."""
    return crud.count(db, users, [users.c.role >= 100, *crud.alive(db, users)])


def with_role(db: Database, role: int) -> list[Row]:
    """Those who are there and have at least this role, 100 at most."""
    return crud.listed(db, users, [users.c.role >= role, *crud.alive(db, users)], [users.c.id], limit=100)


def by_ids(db: Database, ids: Sequence[int]) -> list[Row]:
    """Those of these ids who are there."""
    rows: list[Row] = []
    for start in range(0, len(ids), 500):
        where = [users.c.id.in_(list(ids[start : start + 500])), *crud.alive(db, users)]
        rows += crud.listed(db, users, where, [users.c.id])
    return rows


def names(db: Database, ids: Sequence[int]) -> dict[int, str]:
    """Names of users by id."""
    if not ids:
        return {}
    with db.read() as reader:
        rows = reader.execute(select(users.c.id, users.c.username).where(users.c.id.in_(list(ids))))
        return {row[0]: row[1] or "" for row in rows}


def count(db: Database) -> int:
    """How many users there are."""
    return crud.count(db, users, crud.alive(db, users))
