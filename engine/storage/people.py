"""Users: making them, their passwords, and the first administrator of a fresh database.

Takes names and passwords, gives ids; passwords are kept as bcrypt (cost 10), which the family's programs read too.
Knows nothing of sessions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import bcrypt
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from engine.storage import invitations
from engine.storage.accounts import ADMIN, ENABLED, ROOT
from engine.storage.database import Database, StorageError
from engine.storage.keys import create_key, new_id, present, random_text
from engine.storage.tables.core import users
from engine.storage.tables.system import setups

_COST = 10
_LONGEST = 72
"""bcrypt reads no further; what it would ignore must not look like part of the password."""
_SHORTEST = 8
_ROLES = (1, ADMIN, ROOT)
_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made; nobody can read the password or the key again."""

    username: str
    password: str
    key: str


def hash_password(password: str) -> str:
    """The form in which a password is kept."""
    raw = password.encode()
    if len(raw) > _LONGEST:
        raise StorageError(f"the password is {len(raw)} bytes long; at most {_LONGEST} can be kept")
    if len(password) < _SHORTEST:
        raise StorageError(f"the password has {len(password)} characters; at least {_SHORTEST} are needed")
    return bcrypt.hashpw(raw, bcrypt.gensalt(_COST)).decode()


def check_password(password: str, kept: str) -> bool:
    """Whether this is the password that was kept; an account without one has none that fits."""
    raw = password.encode()
    try:
        return bool(kept) and len(raw) <= _LONGEST and bcrypt.checkpw(raw, kept.encode())
    except ValueError:
        return False


def create_user(
    db: Database,
    username: str,
    password: str,
    *,
    role: int = 1,
    group: str = "default",
    quota: int | None = None,
    display_name: str = "",
    invited_by: str = "",
) -> int:
    """Make a user and give the id. ``invited_by`` is the invitation code of another.

    Without ``quota`` the user begins with what the option QuotaForNewUser says, in units.
    """
    if role not in _ROLES:
        raise StorageError(f"role {role} is unknown; expected 1 (user), 10 (administrator) or 100 (root)")
    if not username.strip() or username != username.strip() or len(username) > _NAME_LENGTH:
        raise StorageError(f"a user's name has 1 to {_NAME_LENGTH} characters and no blanks around it")
    row = {
        "username": username,
        "password": hash_password(password),
        "display_name": display_name or username,
        "role": role,
        "status": ENABLED,
        "email": "",
        "quota": invitations.begins_with(db) if quota is None else quota,
        "group": group,
        "setting": "",
        "created_at": int(time.time()),
        "auth_version": 1,
    }
    rewards = invitations.worth(db) if invited_by else (0, 0)
    for _ in range(5):
        try:
            return db.write(lambda connection: _insert(db, connection, dict(row), invited_by, rewards))
        except StorageError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            if _taken(db, username):
                raise StorageError(f"there is a user {username!r} already (deleted ones count)") from None
    raise StorageError("no free invitation code was found in five tries")


def _insert(db: Database, connection: Connection, row: dict[str, Any], code: str, rewards: tuple[int, int]) -> int:
    if code:
        row["inviter_id"] = invitations.inviter(db, connection, code)
        row["quota"] += rewards[1]
        invitations.reward(db, connection, row["inviter_id"], rewards[0])
    row["aff_code"] = random_text(8)
    if "auth_version" not in db.columns.get("users", ()):
        # One API's column is unique and never NULL
        row["access_token"] = random_text(32).lower()
    return new_id(connection.execute(insert(users).values(present(db, users, row))))


_FIRST_QUOTA = 100_000_000
"""Quota units that the first administrator begins with, as in the reference: priced models work at once."""


def _taken(db: Database, username: str) -> bool:
    with db.read() as connection:
        return connection.execute(select(users.c.id).where(users.c.username == username)).first() is not None


def first_start(db: Database) -> FirstStart | None:
    """In a database without users: a root user with a random password, and a key. Else nothing."""
    with db.read() as connection:
        if connection.execute(select(func.count()).select_from(users)).scalar():
            return None
    username, password = "root", random_text(16)
    try:
        user = create_user(db, username, password, role=ROOT, quota=_FIRST_QUOTA, display_name="Root User")
    except StorageError:
        if _taken(db, username):  # another process was first
            return None
        raise
    key = create_key(db, user, "first key")
    if "setups" in db.columns:
        values = {"version": "gatewright", "initialized_at": int(time.time())}
        db.write(lambda connection: connection.execute(insert(setups).values(values)).rowcount)
    return FirstStart(username, password, key.key)
