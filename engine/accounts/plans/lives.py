"""The life of a subscription: it begins, is reset, and ends; each step is one transaction and happens once.

Whoever changes one locks its user first and the subscription after it, as charges do. What a reset gives back is
noted beside the change (``gatewright_grants``), so that the ledger can prove the used amount; and so is what a
subscription came of. Groups: who buys a plan with an ``upgrade_group`` goes there, and back when the last such ends.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from engine.accounts import credit
from engine.accounts.plans import periods
from engine.errors import NotFound
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.api import plan_models
from engine.storage.rows.crud import Row
from engine.storage.tables.billing import subscription_plans as plans
from engine.storage.tables.billing import user_subscriptions as subscriptions
from engine.storage.tables.core import users
from engine.storage.tables.own import grants
from engine.texts import refusal

ACTIVE, EXPIRED, CANCELLED = "active", "expired", "cancelled"
_BEGUN, _RESET = "plan", "plan_reset"


def begin(db: Database, connection: Connection, plan: Row, user: int, source: str, reference: str, now: int) -> int:
    """Subscribe a user; the id. ``source``: order or admin; ``reference``: the order's number, or who gave it."""
    group = _locked(connection, user)
    end = periods.ends(plan, now, db.zone)
    reset = periods.next_reset(plan, now, end, now, db.zone)
    upgrade = str(plan.get("upgrade_group") or "").strip()
    rises = upgrade not in ("", group)
    values = {
        "user_id": user,
        "plan_id": plan["id"],
        "amount_total": int(plan.get("total_amount") or 0),
        "amount_used": 0,
        "start_time": now,
        "end_time": end,
        "status": ACTIVE,
        "source": source,
        "last_reset_time": now if reset else 0,
        "next_reset_time": reset,
        "upgrade_group": upgrade,
        "prev_user_group": group if rises else "",
        "downgrade_group": str(plan.get("downgrade_group") or "").strip(),
        "allow_wallet_overflow": plan.get("allow_wallet_overflow") is not False,
        "created_at": now,
        "updated_at": now,
    }
    which = crud.add(db, connection, subscriptions, values)
    plan_models.put(connection, plan_models.SUBSCRIPTION, which, plan.get("models") or ())
    credit.note(connection, user, 0, 0, _BEGUN, reference, plan=which)
    if rises:
        connection.execute(update(users).where(users.c.id == user).values(group=upgrade))
    return which


def begun_by(connection: Connection, user: int, reference: str) -> int | None:
    """The subscription that an order began."""
    chosen = select(grants.c.plan_id).where(grants.c.user_id == user, grants.c.reason == _BEGUN)
    row = connection.execute(chosen.where(grants.c.reference == reference, grants.c.plan_id > 0)).first()
    return None if row is None else int(row[0])


def due(db: Database, now: int, most: int) -> tuple[list[int], list[int]]:
    """The subscriptions that are to end, and those that are to be reset."""
    column, active = subscriptions.c, subscriptions.c.status == ACTIVE
    over = crud.listed(db, subscriptions, [active, column.end_time <= now], [column.id], limit=most)
    again = [active, column.next_reset_time > 0, column.next_reset_time <= now, column.end_time > now]
    rows = crud.listed(db, subscriptions, again, [column.id], limit=most)
    return [row["id"] for row in over], [row["id"] for row in rows]


def reset(db: Database, which: int, now: int, *, due: bool = True, advance: bool = True) -> bool:
    """Begin a subscription's amount anew; whether that was done.

    ``due``: only if its time has come; ``advance``: the next reset counts from now.
    """

    def work(connection: Connection) -> bool:
        row, _ = _held(db, connection, which)
        if row is None or row["status"] != ACTIVE or row["end_time"] <= now:
            return False
        moment = row.get("next_reset_time") or 0
        if due and not 0 < moment <= now:
            return False
        values: dict[str, Any] = {"amount_used": 0, "last_reset_time": now, "updated_at": now}
        if due or advance:
            plan = crud.one(db, plans, plans.c.id == row["plan_id"], connection=connection) or {}
            base = moment if due else now
            values["next_reset_time"] = periods.next_reset(plan, base, row["end_time"], now, db.zone)
        crud.change(db, connection, subscriptions, [subscriptions.c.id == which], values)
        if row["amount_used"]:
            credit.note(connection, row["user_id"], 0, -row["amount_used"], _RESET, str(moment), plan=which)
        return True

    return db.write(work)


def expire(db: Database, which: int, now: int) -> bool:
    """End a subscription whose time is over; whether that was done."""
    return db.write(lambda connection: end(db, connection, which, EXPIRED, now, due=True))


def end(db: Database, connection: Connection, which: int, status: str, now: int, *, due: bool = False) -> bool:
    """End an active subscription, and bring its user back into the group of before; whether that was done."""
    row, group = _held(db, connection, which)
    if row is None or row["status"] != ACTIVE or (due and row["end_time"] > now):
        return False
    values = {"status": status, "updated_at": now, "end_time": min(row["end_time"], now)}
    crud.change(db, connection, subscriptions, [subscriptions.c.id == which], values)
    _step_down(db, connection, row, group, now)
    return True


def remove(db: Database, connection: Connection, which: int, now: int) -> None:
    """Delete a subscription; what it paid stays in the ledger."""
    end(db, connection, which, CANCELLED, now)
    if not crud.remove(db, connection, subscriptions, [subscriptions.c.id == which]):
        raise refusal(NotFound, "not_found")


def _locked(connection: Connection, user: int) -> str:
    """The user's group, held until the transaction ends."""
    row = connection.execute(select(users.c.group).where(users.c.id == user).with_for_update()).first()
    if row is None:
        raise refusal(NotFound, "not_found")
    return str(row[0] or "default")


def _held(db: Database, connection: Connection, which: int) -> tuple[Row | None, str]:
    """A subscription and its user's group, both held."""
    first = crud.one(db, subscriptions, subscriptions.c.id == which, connection=connection)
    if first is None:
        return None, ""
    user = connection.execute(select(users.c.group).where(users.c.id == first["user_id"]).with_for_update()).first()
    chosen = select(*crud.columns(db, subscriptions)).where(subscriptions.c.id == which).with_for_update()
    row = connection.execute(chosen).mappings().first()
    held = None if row is None else {str(name): value for name, value in row.items()}
    return held, str(user[0] or "default") if user is not None else ""


def _step_down(db: Database, connection: Connection, row: Row, group: str, now: int) -> None:
    """Where a user goes whose plan has ended: to the group of another plan, of the plan's end, or of before."""
    upgrade, before = row.get("upgrade_group") or "", row.get("prev_user_group") or ""
    column = subscriptions.c
    others = [column.user_id == row["user_id"], column.status == ACTIVE, column.end_time > now]
    others += [column.upgrade_group != ""]
    chosen = select(column.upgrade_group).where(*others).order_by(column.end_time.desc(), column.id.desc())
    other = connection.execute(chosen).scalar()
    if other:
        target = str(other) if group == upgrade else ""
        if before:  # who came later goes back to where this one came from
            same = and_(column.prev_user_group == "", column.upgrade_group == upgrade)
            came = [*others, or_(column.prev_user_group == upgrade, same)]
            crud.change(db, connection, subscriptions, came, {"prev_user_group": before})
    else:
        target = row.get("downgrade_group") or (before if group == upgrade else "")
    if target and target != group:
        connection.execute(update(users).where(users.c.id == row["user_id"]).values(group=target))
