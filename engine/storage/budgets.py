"""Budgets: what a key or a user may use in a day, a week or a month, in quota units or tokens, and what was used.

Definitions are set, listed and removed here; ``apply(connection, uses)`` counts finished calls inside the transaction
that books them, so the count is exact. A new budget starts with what the log rows of its running period say. Periods
begin at midnight, on Monday, on the first, in the zone of the settings. Whether a call may go on is decided elsewhere.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, column, delete, func, insert, select
from sqlalchemy import table as sql_table
from sqlalchemy.dialects import mysql, postgresql, sqlite

from engine.storage.database import Database, StorageError
from engine.storage.log_rows import CONSUME
from engine.storage.tables.ledger import ledger
from engine.storage.tables.own import budget_use, budgets, facts

KEY, USER = "key", "user"
PERIODS = ("day", "week", "month")
QUOTA, TOKENS = "quota", "tokens"
_MOST = 2**62
_ZONE = "budget zone"
Holder = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Budget:
    """One bound. ``soft_percent`` of it is where warnings begin; 0 for none."""

    id: int
    holder: str
    holder_id: int
    period: str
    unit: str
    amount: int
    soft_percent: int


@dataclass(frozen=True, slots=True)
class Use:
    """A finished call, as budgets count it."""

    user_id: int
    token_id: int
    quota: int
    tokens: int
    at: int


def begins(period: str, now: float, zone: datetime.tzinfo | None) -> int:
    """When the period that ``now`` lies in began, in a time zone (None: the process's own)."""
    day = datetime.datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        day -= datetime.timedelta(days=day.weekday())
    elif period == "month":
        day = day.replace(day=1)
    return int(day.timestamp())


def ends(period: str, now: float, zone: datetime.tzinfo | None) -> int:
    """When the period that ``now`` lies in ends."""
    day = datetime.datetime.fromtimestamp(begins(period, now, zone), zone)
    if period == "month":
        return int((day + datetime.timedelta(days=32)).replace(day=1).timestamp())
    return int((day + datetime.timedelta(days=7 if period == "week" else 1)).timestamp())


def load(db: Database) -> dict[Holder, tuple[Budget, ...]]:
    """All budgets, by holder."""
    found: dict[Holder, list[Budget]] = {}
    if budgets.name in db.columns:
        with db.read() as connection:
            for one in _listed(connection):
                found.setdefault((one.holder, one.holder_id), []).append(one)
    return {holder: tuple(listed) for holder, listed in found.items()}


def _listed(connection: Connection) -> list[Budget]:
    # PERF: 30 us; as a Core select it costs each commit of the ledger 200 more
    columns = "id, holder, holder_id, period, unit, amount, soft_percent"
    rows = connection.exec_driver_sql(f"SELECT {columns} FROM {budgets.name} ORDER BY id")  # noqa: S608 - our names
    return [Budget(*row) for row in rows]


def used(db: Database, budget: Budget, now: float) -> int:
    """What was used of a budget in its running period, as far as it is booked."""
    with db.read() as connection:
        return int(connection.execute(select(budget_use.c.used).where(*_place(budget, now, db.zone))).scalar() or 0)


def _place(budget: Budget, now: float, zone: datetime.tzinfo | None) -> tuple[Any, ...]:
    use = budget_use.c
    same = (use.holder == budget.holder, use.holder_id == budget.holder_id, use.period == budget.period)
    return (*same, use.unit == budget.unit, use.begins == begins(budget.period, now, zone))


def put(db: Database, log_db: Database, budget: Budget) -> None:
    """Set a budget, in place of one of the same holder, period and unit; its id is not looked at."""
    if budget.holder not in (KEY, USER) or budget.period not in PERIODS or budget.unit not in (QUOTA, TOKENS):
        raise StorageError("a budget is of a key or user, by day, week or month, in quota or tokens")
    if not 0 <= budget.amount <= _MOST or not 0 <= budget.soft_percent <= 100:
        raise StorageError("a budget has an amount of 0 or more, and warns at 0 to 100 percent of it")
    now = time.time()
    since = begins(budget.period, now, db.zone)
    spent = _logged(log_db, budget, since) + _unlogged(db, budget, since)
    row = {name: getattr(budget, name) for name in ("holder", "holder_id", "period", "unit", "amount", "soft_percent")}
    place = {**{name: row[name] for name in ("holder", "holder_id", "period", "unit")}}

    def work(connection: Connection) -> int:
        same = (budgets.c[name] == value for name, value in place.items())
        new = connection.execute(delete(budgets).where(*same)).rowcount == 0
        connection.execute(insert(budgets).values({**row, "created_at": int(now)}))
        if new:
            connection.execute(delete(budget_use).where(*_place(budget, now, db.zone)))
            connection.execute(insert(budget_use).values({**place, "begins": since, "used": spent}))
        return 0

    db.write(work)


def _logged(log_db: Database, budget: Budget, since: int) -> int:
    """What the log rows say was used since then."""
    there = log_db.columns.get("logs", frozenset())
    holder = "user_id" if budget.holder == USER else "token_id"
    if holder not in there:
        return 0
    row = sql_table("logs", *(column(name) for name in there)).c
    amount = row.quota if budget.unit == QUOTA else func.coalesce(row.prompt_tokens, 0) + row.completion_tokens
    wanted = (row[holder] == budget.holder_id, row.created_at >= since, row.type == CONSUME)
    with log_db.read() as connection:
        return int(connection.execute(select(func.sum(amount)).where(*wanted)).scalar() or 0)


def _unlogged(db: Database, budget: Budget, since: int) -> int:
    """What calls used since then of which the operator wants no log row."""
    # older rows have nothing there, and a log row
    with db.read() as connection:
        return _ledgered(connection, budget, since, ledger.c.logged == False)  # noqa: E712 - SQL


def _ledgered(connection: Connection, budget: Budget, since: int, *more: Any) -> int:
    """What the ledger says was used since then."""
    row = ledger.c
    holder = row.user_id if budget.holder == USER else row.token_id
    amount = row.quota if budget.unit == QUOTA else row.prompt_tokens + row.completion_tokens
    wanted = (holder == budget.holder_id, row.created_at >= since, row.counted == True, *more)  # noqa: E712 - SQL
    return int(connection.execute(select(func.sum(amount)).where(*wanted)).scalar() or 0)


def zone_mark(db: Database) -> str:
    """The zone that periods are counted in, and since when: another text after each change of it."""
    with db.read() as connection:
        return str(connection.execute(select(facts.c.value).where(facts.c.name == _ZONE)).scalar() or "")


def follow_zone(db: Database) -> bool:
    """Where periods begin at other times than before, count anew from the ledger what was used in the running ones.

    True if so. Called at the start, before there are workers.
    """
    name = str(db.zone) if db.zone is not None else time.strftime("%z")
    known = zone_mark(db)
    if known.partition("@")[0] == name:
        return False
    now = time.time()

    def work(connection: Connection) -> int:
        for budget in _listed(connection) if known else ():
            since = begins(budget.period, now, db.zone)
            row = {name: getattr(budget, name) for name in ("holder", "holder_id", "period", "unit")}
            connection.execute(delete(budget_use).where(*_place(budget, now, db.zone)))
            spent = _ledgered(connection, budget, since)
            connection.execute(insert(budget_use).values({**row, "begins": since, "used": spent}))
        connection.execute(delete(facts).where(facts.c.name == _ZONE))
        connection.execute(insert(facts).values(name=_ZONE, value=f"{name}@{time.time_ns()}"))
        return 0

    db.write(work)
    return bool(known)


def remove(db: Database, which: int) -> bool:
    """Take a budget away; false when there is none of this id."""
    return db.write(lambda c: c.execute(delete(budgets).where(budgets.c.id == which)).rowcount) == 1


def apply(connection: Connection, uses: Iterable[Use], zone: datetime.tzinfo | None) -> None:
    """Count finished calls towards the budgets of their keys and users, as these are set now."""
    set_now = _listed(connection)
    if not set_now:
        return
    by_holder: dict[Holder, list[Use]] = {}
    for use in uses:
        by_holder.setdefault((KEY, use.token_id), []).append(use)
        by_holder.setdefault((USER, use.user_id), []).append(use)
    sums: dict[tuple[str, int, str, str, int], int] = {}
    for one in set_now:
        for use in by_holder.get((one.holder, one.holder_id), ()):
            amount = use.quota if one.unit == QUOTA else use.tokens
            place = (one.holder, one.holder_id, one.period, one.unit, begins(one.period, use.at, zone))
            sums[place] = sums.get(place, 0) + amount
    for place, amount in sorted(sums.items()):  # in one order, so that two such transactions wait and never deadlock
        names = ("holder", "holder_id", "period", "unit", "begins")
        _add(connection, {**dict(zip(names, place, strict=True)), "used": amount})


def _add(connection: Connection, row: dict[str, Any]) -> None:
    if connection.dialect.name == "mysql":
        made = mysql.insert(budget_use).values(row)
        connection.execute(made.on_duplicate_key_update(used=budget_use.c.used + row["used"]))
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    upsert = dialect.insert(budget_use).values(row)
    places = ("holder", "holder_id", "period", "unit", "begins")
    change = {"used": budget_use.c.used + row["used"]}
    connection.execute(upsert.on_conflict_do_update(index_elements=[budget_use.c[n] for n in places], set_=change))
