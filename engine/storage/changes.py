"""Changes to users and keys that are there: status, group, balance, bounds.

``change_user`` and ``change_key`` take only what is to be changed. A key's limits are written wherever this database
keeps them, also where an older program looks; what the database can't hold is refused. Making them is ``people`` and
``keys``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, column, func, select, update
from sqlalchemy import table as sql_table

from engine.storage.accounts import DISABLED, ENABLED, EXHAUSTED, EXPIRED, split_key
from engine.storage.balance import give_user, set_key
from engine.storage.database import Database, StorageError
from engine.storage.keys import checked, user_id
from engine.storage.tables.core import tokens, users


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user as lists show it."""

    id: int
    username: str
    role: int
    status: int
    group: str
    quota: int
    used_quota: int
    request_count: int
    inviter: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to be changed of a key; nothing leaves as it is. ``quota`` is what shall be left, ``unlimited`` wins."""

    enabled: bool | None = None
    group: str | None = None
    quota: int | None = None
    unlimited: bool | None = None
    expires: int | None = None
    models: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    cross_group_retry: bool | None = None


_USER = ("id", "username", "role", "status", "group", "quota", "used_quota", "request_count", "inviter_id")


def list_users(db: Database) -> list[UserInfo]:
    """The users that are not deleted, by id."""
    there = db.columns.get("users", frozenset())
    own = sql_table("users", *(column(name) for name in (*_USER, "deleted_at") if name in there))
    chosen = select(own).order_by(own.c.id)
    if "deleted_at" in there:
        chosen = chosen.where(own.c.deleted_at.is_(None))
    with db.read() as connection:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
    return [
        UserInfo(
            id=row["id"],
            username=row["username"] or "",
            group=row["group"] or "default",
            inviter=row["inviter_id"] or 0,
            **{name: row[name] or 0 for name in ("role", "status", "quota", "used_quota", "request_count")},
        )
        for row in rows
    ]


def change_user(db: Database, user: str | int, *, enabled: bool | None = None, group: str | None = None) -> None:
    """Let a user in or keep it out, or move it to another group. Sessions made before end with a change of status."""
    values: dict[str, Any] = {}
    if enabled is not None:
        values["status"] = ENABLED if enabled else DISABLED
        if "auth_version" in db.columns.get("users", ()):
            values["auth_version"] = func.coalesce(users.c.auth_version, 1) + 1
    if group is not None:
        values["group"] = group
    if values:
        db.write(lambda c: c.execute(update(users).where(users.c.id == user_id(db, c, user)).values(values)).rowcount)


def change_quota(db: Database, user: str | int, *, add: int = 0, to: int | None = None, reason: str = "admin") -> int:
    """Add to a user's balance, or set it; the new balance."""

    def work(connection: Connection) -> int:
        which = user_id(db, connection, user)
        amount = add
        if to is not None:
            held = connection.execute(select(users.c.quota).where(users.c.id == which).with_for_update()).scalar()
            amount = to - (held or 0)
        return give_user(connection, which, amount, "admin", reason)

    return db.write(work)


def change_key(db: Database, which: str | int, change: KeyChange) -> bool:
    """Change a key, by itself or by its id; false when there is none."""
    values = _key_values(change)
    limits = _limit_values(db, change)
    chosen = tokens.c.id == which if isinstance(which, int) else tokens.c.key == split_key(which)[0]
    if "deleted_at" in db.columns.get("tokens", ()):
        chosen &= tokens.c.deleted_at.is_(None)

    def work(connection: Connection) -> bool:
        found = connection.execute(select(tokens.c.id, tokens.c.status).where(chosen)).first()
        if found is None:
            return False
        status = _revived(found[1], change)
        if values or status != found[1]:
            connection.execute(update(tokens).where(tokens.c.id == found[0]).values({**values, "status": status}))
        if limits:
            own = sql_table("tokens", column("id"), *(column(name) for name in limits))
            connection.execute(update(own).where(own.c.id == found[0]).values(limits))
        if change.quota is not None and not change.unlimited:
            set_key(connection, found[0], change.quota, "admin")
        return True

    missing = [name for name in values if name not in db.columns.get("tokens", ())]
    if missing:
        raise StorageError(f"this database's keys have no {missing[0]}: upgrade it first, or leave that out")
    return db.write(work)


def _revived(status: int, change: KeyChange) -> int:
    """The status after a change: more quota or time bring back a key that had run out of it."""
    if change.enabled is not None:
        return ENABLED if change.enabled else DISABLED
    more = change.unlimited or (change.quota or 0) > 0
    longer = change.expires is not None and (change.expires == -1 or change.expires > time.time())
    return ENABLED if (status == EXHAUSTED and more) or (status == EXPIRED and longer) else status


def _key_values(change: KeyChange) -> dict[str, Any]:
    unlimited = change.unlimited if change.unlimited is not None else (False if change.quota is not None else None)
    named = {
        "group": change.group,
        "expired_time": change.expires,
        "unlimited_quota": unlimited,
        "cross_group_retry": change.cross_group_retry,
    }
    return {name: value for name, value in named.items() if value is not None}


def _limit_values(db: Database, change: KeyChange) -> dict[str, Any]:
    """The limits in every column that any program of the family reads them from, as far as this database has it."""
    there = db.columns.get("tokens", frozenset())
    flag: Any = bool(change.models)
    values: dict[str, Any] = {}
    if change.models is not None:
        listed = ",".join(change.models)
        values |= {"model_limits": listed, "models": listed}
        values["model_limits_enabled"] = int(flag) if db.kind == "sqlite" else flag
    if change.networks is not None:
        allowed = checked(change.networks)
        values |= {"allow_ips": "\n".join(allowed), "subnet": ",".join(allowed)}
    found = {name: value for name, value in values.items() if name in there}
    for what, names in (("models", ("model_limits", "models")), ("networks", ("allow_ips", "subnet"))):
        if getattr(change, what) and not found.keys() & set(names):
            raise StorageError(f"this database's keys can't be bound to {what}: upgrade it first, or leave that out")
    return found
