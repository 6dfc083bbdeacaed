"""Invitations: a user who names another's code brings both what the options say, and rewards move to the balance.

``inviter`` finds whose code it is; ``reward`` runs in the transaction that makes the invited user; ``transfer`` turns
rewards into balance. Databases of older programs have no place for rewards: there they are balance at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from engine.accounts.credit import give_user
from engine.accounts.keys import user_id
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import options
from engine.storage.tables.core import users
from engine.storage.values import QUOTA_PER_UNIT

_REASON = "invitation"


def inviter(db: Database, connection: Connection, code: str) -> int:
    """The user whose code this is."""
    chosen = select(users.c.id, users.c.aff_code).where(users.c.aff_code == code)
    if "deleted_at" in db.columns.get("users", ()):
        chosen = chosen.where(users.c.deleted_at.is_(None))
    inviters = [row[0] for row in connection.execute(chosen) if row[1] == code]  # MySQL compares without case
    if not code or not inviters:
        raise NotFound(f"nobody has the invitation code {code!r}")
    return int(inviters[0])


def worth(db: Database) -> tuple[int, int]:
    """Quota units for who invites and for who is invited."""
    values = options.load(db)
    return _units(values, "QuotaForInviter", 0), _units(values, "QuotaForInvitee", 0)


def begins_with(db: Database) -> int:
    """Quota units of a new user."""
    return _units(options.load(db), "QuotaForNewUser", 0)


def reward(db: Database, connection: Connection, user: int, amount: int) -> None:
    """Count an invitation of a user, and keep its reward."""
    columns = db.columns.get("users", frozenset())
    if "aff_quota" not in columns:
        if amount:
            give_user(connection, user, amount, _REASON)
        return
    more = {"aff_count": 1, "aff_quota": amount, "aff_history": amount}
    values = {name: func.coalesce(users.c[name], 0) + by for name, by in more.items()}
    connection.execute(update(users).where(users.c.id == user).values(values))


@dataclass(frozen=True, slots=True)
class Moved:
    """Quota units that were moved, the balance after it, and the rewards that are left."""

    amount: int
    balance: int
    left: int


def transfer(db: Database, user: str | int, amount: int | None = None) -> Moved:
    """Turn so much of a user's rewards into balance, or all of them; as in New API a dollar at least."""
    if "aff_quota" not in db.columns.get("users", ()):
        raise Conflict("this database keeps no rewards: they are part of the balance")
    least = _units(options.load(db), "QuotaPerUnit", QUOTA_PER_UNIT)

    def work(connection: Connection) -> Moved:
        which = user_id(db, connection, user)
        stored = connection.execute(select(users.c.aff_quota).where(users.c.id == which).with_for_update()).scalar()
        rewards = stored or 0
        moving = rewards if amount is None else amount
        if moving < least:
            bound = f"rewards are moved from {least} quota units (QuotaPerUnit) up"
            raise Conflict(f"{bound}; the user has {rewards}") if amount is None else Invalid("quota", bound)
        if moving > rewards:
            raise Conflict(f"the user has {rewards} quota units of rewards, {moving} can't be moved")
        connection.execute(update(users).where(users.c.id == which).values(aff_quota=rewards - moving))
        return Moved(moving, give_user(connection, which, moving, _REASON), rewards - moving)

    return db.write(work)


def _units(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() else default
