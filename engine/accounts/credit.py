"""Changes of a balance that are no charges, each noted with its reason beside the change, in one transaction.

``give_user`` and ``set_key`` run inside the caller's transaction. The notes (``gatewright_grants``) are what lets the
ledger explain a balance; charges are not made here.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, insert, select, update

from engine.errors import Invalid, NotFound
from engine.storage.tables.core import tokens, users
from engine.storage.tables.own import grants

MOST = 2**62
"""Sums of this size still fit into the columns."""


def give_user(connection: Connection, user: int, amount: int, reason: str, reference: str = "") -> int:
    """Add to a user's balance (or take, if negative); the new balance."""
    balance = func.coalesce(users.c.quota, 0)
    allowed = balance + amount <= MOST if amount > 0 else balance + amount >= -MOST
    changed = connection.execute(update(users).where(users.c.id == user, allowed).values(quota=balance + amount))
    if changed.rowcount != 1:
        if connection.execute(select(users.c.id).where(users.c.id == user)).scalar() is None:
            raise NotFound(f"user {user} is not there")
        raise Invalid("quota", f"the balance of user {user} would pass what the column holds")
    note(connection, user, 0, amount, reason, reference)
    return int(connection.execute(select(users.c.quota).where(users.c.id == user)).scalar() or 0)


def set_key(connection: Connection, token: int, remain: int, reason: str) -> None:
    """Make this what is left of a key, whatever it was."""
    row = connection.execute(
        select(tokens.c.remain_quota, tokens.c.user_id).where(tokens.c.id == token).with_for_update()
    ).first()
    if row is None:
        raise NotFound(f"there is no key {token}")
    connection.execute(update(tokens).where(tokens.c.id == token).values(remain_quota=remain))
    note(connection, row[1] or 0, token, remain - (row[0] or 0), reason, "")


def noted(connection: Connection, user: int, reason: str, reference: str, *, exactly: bool = False) -> int:
    """The sum of what was noted of a user's balance for a reference, and for its parts, which follow a ``#``."""
    part = grants.c.reference.startswith(f"{reference}#", autoescape=True)
    here = grants.c.reference == reference
    chosen = select(func.coalesce(func.sum(grants.c.amount), 0)).where(
        grants.c.user_id == user, grants.c.reason == reason, here if exactly else here | part
    )
    return int(connection.execute(chosen).scalar_one())


def note(
    connection: Connection, user: int, token: int, amount: int, reason: str, reference: str, *, plan: int = 0
) -> None:
    """Write down a change; ``token`` is 0 when it is the user's own balance that changed.

    ``plan``: it is the used amount of this subscription that changed, or, by 0, one that began.
    """
    if amount or plan:
        row = {"user_id": user, "token_id": token, "plan_id": plan, "amount": amount, "created_at": int(time.time())}
        connection.execute(insert(grants).values({**row, "reason": reason[:32], "reference": reference[:191]}))
