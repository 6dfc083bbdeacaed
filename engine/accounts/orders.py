"""Orders of quota and of plans: made before somebody pays, credited once when they are paid, taken back when refunded.

An order of quota is a row of ``top_ups``; ``amount`` is in dollars, of a service that sells products in quota units.
One of a plan is a row of ``subscription_orders``, and once it is paid one of ``top_ups`` too, with no amount, as New
API's lists look there. Whoever tells of an order (a notice, a query, a hand) calls ``settle``: status and what it
means change in one transaction, and only from the status before, so that what comes twice, late or from two sides is
credited once.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.accounts import credit
from engine.accounts.credit import give_user
from engine.accounts.plans import catalogue, lives
from engine.accounts.plans.lives import CANCELLED
from engine.errors import Conflict, NotFound
from engine.storage.database import Database, StorageError
from engine.storage.rows import jobs, people
from engine.storage.rows.crud import Row
from engine.storage.rows.log_rows import LogRow, apply
from engine.storage.rows.work import invoices, outbox
from engine.storage.values import QUOTA_PER_UNIT
from engine.texts import refusal

PENDING, PAID, FAILED, EXPIRED, REFUNDED = "pending", "success", "failed", "expired", "refunded"
OUTCOMES = {"paid": PAID, "failed": FAILED, "expired": EXPIRED, "refunded": REFUNDED}
"""The words of documents and the status that each means."""
RENEWED = "renewed"
"""The word for a plan that is paid for once more: an order of its own, which is paid."""
_BEFORE = {PAID: (PENDING, EXPIRED, FAILED), FAILED: (PENDING,), EXPIRED: (PENDING,), REFUNDED: (PAID,)}
_PAPERS = {PAID: invoices.INVOICE, REFUNDED: invoices.CREDIT}
_TOP_UP = 1
_ROUNDING = Decimal("0.001")
"""The column of what an order asks for is binary, and services write two decimals."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Back:
    """What a service gave back: a ``share`` of what was paid, above 0 to 1; of one refund, or, without ``refund``, the
    name of one, of all of them so far."""

    share: Decimal = Decimal(1)
    refund: str = ""


WHOLE = Back()


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an order: its row, its status now, and whether this changed it. ``units`` moved the balance."""

    row: Row
    status: str
    changed: bool
    units: int = 0


def unit_of(options: Mapping[str, str]) -> int:
    """Quota units of a dollar, as the console's option says."""
    try:
        return int(float(options.get("QuotaPerUnit") or QUOTA_PER_UNIT))
    except ValueError:
        return QUOTA_PER_UNIT


def place(db: Database, values: Mapping[str, Any]) -> int:
    """Write down an order that nobody has paid yet, of a plan where there is a ``plan_id``; its id."""
    table = jobs.PLAN_ORDERS if "plan_id" in values else jobs.ORDERS
    return jobs.add(db, table, {**values, "status": PENDING, "create_time": int(time.time()), "complete_time": 0})


def one(db: Database, number: str) -> Row:
    """The order of a number, of a plan before one of quota; ``NotFound`` where there is none."""
    row = None
    for table in (jobs.PLAN_ORDERS, jobs.ORDERS) if number else ():
        row = row or jobs.one(db, table, trade_no=number[:255])
    if row is None:
        raise refusal(NotFound, "order.unknown")
    return row


def renewal(db: Database, row: Row, number: str) -> Row:
    """The order of a payment that renews the plan of another order; it is written down if it is not there yet."""
    names = ("user_id", "plan_id", "money", "payment_method", "payment_provider")
    try:
        place(db, {**{name: row.get(name) for name in names}, "trade_no": number[:255]})
    except StorageError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
    return one(db, number)


def settle(
    db: Database,
    log_db: Database,
    row: Row,
    status: str,
    options: Mapping[str, str],
    *,
    products: bool = False,
    back: Back = WHOLE,
) -> Settled:
    """Give an order its new status, and its owner what that means. ``products``: its amount is in quota units.

    An order that has the status already, or one from which there is no way to it, stays as it is. ``back``: of a
    refund; an order is refunded when all of it went back, and paid until then.
    """
    units = int(row.get("amount") or 0) * (1 if products else unit_of(options))
    table = jobs.PLAN_ORDERS if "plan_id" in row else jobs.ORDERS
    moved: list[int] = []

    def work(connection: Connection) -> str:
        moved.clear()
        now, change, reference = int(time.time()), units if status == PAID else 0, str(row["trade_no"])[:191]
        goal, money = status, Decimal(str(row.get("money") or 0))
        if status == REFUNDED:
            change, goal, reference, money = _back(connection, table, row, units, back)
            if not goal:
                return ""
        if goal == status and not any(
            jobs.settle(db, connection, table, row["id"], status, one, now) for one in _BEFORE[status]
        ):
            return ""
        if "plan_id" in row:
            _plan(db, connection, row, status, now)
        if change:
            give_user(connection, row["user_id"], change, "order" if change > 0 else "refund", reference)
        if change > 0:
            told = {"order": str(row["trade_no"]), "units": change}
            outbox.happened(db, connection, "payment.in", told, row["user_id"])
        if status in _PAPERS:
            invoices.give(db, connection, {**row, "money": money}, _PAPERS[status], options, time.time())
        moved.append(change)
        return goal

    goal = db.write(work)
    if goal and ("plan_id" in row or moved[0]) and status in (PAID, REFUNDED):
        _write_log(db, log_db, row, moved[0])
    return Settled(row, goal or one(db, row["trade_no"])["status"], bool(goal), sum(moved))


def _back(connection: Connection, table: Any, row: Row, units: int, back: Back) -> tuple[int, str, str, Decimal]:
    """What a refund takes from the balance; what the order is then (nothing: it stays as it is); the reference of that,
    and the money of its credit note."""
    number, money = str(row["trade_no"])[:191], Decimal(str(row.get("money") or 0))
    reference = f"{number}#{back.refund}"[:191] if back.refund else number
    if "plan_id" in row or not units:
        return 0, REFUNDED if back.share >= 1 else "", reference, money
    if jobs.held(connection, table, row["id"]) != PAID:
        return 0, "", reference, money
    taken = -credit.noted(connection, row["user_id"], "refund", number)
    wanted = math.ceil(units * min(max(back.share, Decimal(0)), Decimal(1)))
    if back.refund:
        again = credit.noted(connection, row["user_id"], "refund", reference, exactly=True)
        wanted = 0 if again else taken + wanted
    after = max(taken, min(wanted, units))
    paper = round(money * after / units, 2) - round(money * taken / units, 2)
    goal = REFUNDED if after == units else PAID if after > taken else ""
    return taken - after, goal, reference, paper


def _plan(db: Database, connection: Connection, row: Row, status: str, now: int) -> None:
    """What the new status of an order of a plan means: it begins, or ends."""
    number, user = str(row["trade_no"]), row["user_id"]
    if status == PAID:
        plan = catalogue.one(db, row["plan_id"], connection)
        lives.begin(db, connection, plan, user, "order", number, now)
        told = {"order": number, "units": 0, "plan": str(plan["title"])}
        outbox.happened(db, connection, "payment.in", told, user)
        names = ("user_id", "money", "trade_no", "payment_method", "payment_provider", "create_time")
        seen = {name: row.get(name) for name in names}
        jobs.seen(db, connection, {**seen, "amount": 0, "status": PAID, "complete_time": now})
    elif status == REFUNDED:
        which = lives.begun_by(connection, user, number)
        if which is not None:
            lives.end(db, connection, which, CANCELLED, now)
        jobs.seen(db, connection, {"trade_no": number, "status": REFUNDED})


def _write_log(db: Database, log_db: Database, row: Row, change: int) -> None:
    """The log tells of it too; the grant beside the balance does so for good."""
    verb = "paid" if change > 0 else "refunded"
    owner = people.by_id(db, row["user_id"], deleted=True)
    what = f"plan {row['plan_id']}" if "plan_id" in row else f"{change} quota units"
    log_row = LogRow(
        user_id=row["user_id"],
        username=(owner or {}).get("username") or "",
        type=_TOP_UP,
        content=f"order {row['trade_no']} was {verb}: {what}",
        quota=change,
    )
    try:
        log_db.write(lambda connection: apply(connection, log_db, [log_row]))
    except StorageError as error:
        _log.warning("no log row says that order %s was %s: %s", row["trade_no"], verb, error)


def pays(row: Row, money: Any) -> bool:
    """Whether this is at least what the order asks for. ``money``: a text or a number; what is none pays nothing."""
    try:
        paid = Decimal(str(money))
        return paid.is_finite() and paid + _ROUNDING >= Decimal(str(row["money"] or 0))
    except InvalidOperation:
        return False


def complete(db: Database, log_db: Database, number: str, options: Mapping[str, str], products: frozenset[str]) -> int:
    """Credit a pending order by hand; the units. ``products``: services whose amounts are in quota units."""
    row = one(db, number)
    settled = settle(db, log_db, row, PAID, options, products=str(row.get("payment_provider") or "") in products)
    if not settled.changed:
        raise refusal(Conflict, "order.unknown")
    return settled.units
