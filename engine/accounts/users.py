"""Users: making, listing and changing them. Takes names and passwords, gives ids. Knows nothing of sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, column, func, insert, select, update
from sqlalchemy import table as sql_table
from sqlalchemy.exc import IntegrityError

from engine.accounts import invitations
from engine.accounts.credit import give_user
from engine.accounts.keys import new_id, present, random_text, user_id
from engine.accounts.passwords import hash_password
from engine.errors import Conflict, Invalid, Unavailable
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import budgets
from engine.storage.rows.api import teams
from engine.storage.tables.core import users
from engine.storage.values import ADMIN, DISABLED, ENABLED, ROOT

_ROLES = (1, ADMIN, ROOT)
_NAME_LENGTH = 64


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


def create_user(
    db: Database,
    username: str,
    password: str | None,
    *,
    role: int = 1,
    group: str = "default",
    quota: int | None = None,
    display_name: str = "",
    invited_by: str = "",
    setting: str = "",
    email: str = "",
    also: Callable[[Connection, int], None] | None = None,
    team: bool = False,
) -> int:
    """Make a user and give the id. ``invited_by`` is the invitation code of another; a ``team`` has no default budgets.

    Without ``quota`` the user begins with what the option QuotaForNewUser says, in units; without a password nobody
    signs in by one. ``also`` is done in the same transaction, and ends it where it raises.
    """
    if role not in _ROLES:
        raise Invalid("role", f"role {role} is unknown", "expected 1 (user), 10 (administrator) or 100 (root)")
    if not username.strip() or username != username.strip() or len(username) > _NAME_LENGTH:
        raise Invalid("username", f"a user's name has 1 to {_NAME_LENGTH} characters and no blanks around it")
    row = {
        "username": username,
        "password": "" if password is None else hash_password(password, username),
        "display_name": display_name or username,
        "role": role,
        "status": ENABLED,
        "email": email,
        "quota": invitations.begins_with(db) if quota is None else quota,
        "group": group,
        "setting": setting,
        "created_at": int(time.time()),
        "auth_version": 1,
    }
    rewards = invitations.worth(db) if invited_by else (0, 0)

    def beside(connection: Connection, which: int) -> None:
        if not team:
            budgets.begin(db, connection, budgets.USER, which)
        if also is not None:
            also(connection, which)

    for _ in range(5):
        try:
            return db.write(lambda connection: _insert(db, connection, dict(row), invited_by, rewards, beside))
        except StatementError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            if _taken(db, username):
                raise Conflict(f"there is a user {username!r} already (deleted ones count)") from None
    raise Unavailable("no free invitation code was found in five tries")


def _insert(
    db: Database,
    connection: Connection,
    row: dict[str, Any],
    code: str,
    rewards: tuple[int, int],
    beside: Callable[[Connection, int], None],
) -> int:
    if code:
        row["inviter_id"] = invitations.inviter(db, connection, code)
        row["quota"] += rewards[1]
        invitations.reward(db, connection, row["inviter_id"], rewards[0])
    row["aff_code"] = random_text(8)
    if "auth_version" not in db.columns.get("users", ()):
        # One API's column is unique and never NULL
        row["access_token"] = random_text(32).lower()
    which = new_id(connection.execute(insert(users).values(present(db, users, row))))
    beside(connection, which)
    return which


def _taken(db: Database, username: str) -> bool:
    with db.read() as connection:
        return connection.execute(select(users.c.id).where(users.c.username == username)).first() is not None


_USER = ("id", "username", "role", "status", "group", "quota", "used_quota", "request_count", "inviter_id")


def list_users(db: Database) -> list[UserInfo]:
    """The users that are not deleted, by id."""
    columns = db.columns.get("users", frozenset())
    user_table = sql_table("users", *(column(name) for name in (*_USER, "deleted_at") if name in columns))
    chosen = select(user_table).order_by(user_table.c.id)
    if "deleted_at" in columns:
        chosen = chosen.where(user_table.c.deleted_at.is_(None))
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

    def work(connection: Connection) -> None:
        which = user_id(db, connection, user)
        connection.execute(update(users).where(users.c.id == which).values(values))
        if enabled is False:
            teams.switch_off(db, connection, which)

    if values:
        db.write(work)


def change_quota(db: Database, user: str | int, *, add: int = 0, to: int | None = None, reason: str = "admin") -> int:
    """Add to a user's balance, or set it; the new balance."""

    def work(connection: Connection) -> int:
        which = user_id(db, connection, user)
        amount = add
        if to is not None:
            balance = connection.execute(select(users.c.quota).where(users.c.id == which).with_for_update()).scalar()
            amount = to - (balance or 0)
        return give_user(connection, which, amount, "admin", reason)

    return db.write(work)
