"""Invitations: a user who names another's code brings both what the options say, and rewards move to the balance.

``inviter`` finds whose code it is; ``reward`` runs in the transaction that makes the invited user; ``transfer`` turns
rewards into balance. Databases of older programs have no place for rewards: there they are balance at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from engine.storage import options
from engine.storage.balance import give_user
from engine.storage.database import Database, StorageError
from engine.storage.keys import user_id
from engine.storage.tables.core import users

_REASON = "invitation"
_PER_UNIT = 500_000


def inviter(db: Database, connection: Connection, code: str) -> int:
    """The user whose code this is."""
    chosen = select(users.c.id, users.c.aff_code).where(users.c.aff_code == code)
    if "deleted_at" in db.columns.get("users", ()):
        chosen = chosen.where(users.c.deleted_at.is_(None))
    found = [row[0] for row in connection.execute(chosen) if row[1] == code]  # MySQL compares without case
    if not code or not found:
        raise StorageError(f"nobody has the invitation code {code!r}")
    return int(found[0])


def worth(db: Database) -> tuple[int, int]:
    """Quota units for who invites and for who is invited."""
    said = options.load(db)
    return _units(said, "QuotaForInviter", 0), _units(said, "QuotaForInvitee", 0)


def begins_with(db: Database) -> int:
    """Quota units of a new user."""
    return _units(options.load(db), "QuotaForNewUser", 0)


def reward(db: Database, connection: Connection, user: int, amount: int) -> None:
    """Count an invitation of a user, and keep its reward."""
    there = db.columns.get("users", frozenset())
    if "aff_quota" not in there:
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
        raise StorageError("this database keeps no rewards: they are part of the balance")
    least = _units(options.load(db), "QuotaPerUnit", _PER_UNIT)

    def work(connection: Connection) -> Moved:
        which = user_id(db, connection, user)
        found = connection.execute(select(users.c.aff_quota).where(users.c.id == which).with_for_update()).scalar()
        held = found or 0
        wanted = held if amount is None else amount
        if wanted < least:
            had = f"; the user has {held}" if amount is None else ""
            raise StorageError(f"rewards are moved from {least} quota units (QuotaPerUnit) up{had}")
        if wanted > held:
            raise StorageError(f"the user has {held} quota units of rewards, {wanted} can't be moved")
        connection.execute(update(users).where(users.c.id == which).values(aff_quota=held - wanted))
        return Moved(wanted, give_user(connection, which, wanted, _REASON), held - wanted)

    return db.write(work)


def _units(said: Mapping[str, str], name: str, default: int) -> int:
    text = said.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() else default
