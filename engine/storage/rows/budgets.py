"""Budgets: what somebody may use in a day, a week or a month, in quota units or tokens, and what was used.

A holder is a key or a user; or, for the keys that are counted for it, a member of a team, a project or a tag. A tag
also counts calls that have it themselves: those of its account, or of all where it is nobody's.

Definitions are written, listed and removed here (``engine.accounts.budgets`` checks them); ``apply(connection, uses)``
counts finished calls inside the transaction that books them, so the count is exact. A new budget starts with what the
log rows of its running period say. Periods begin at midnight, on Monday, on the first, in the zone of the settings.
Whether a call may go on is decided elsewhere.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, column, delete, func, insert, select
from sqlalchemy import table as sql_table

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.channel_edits import escaped
from engine.storage.rows.log_rows import CONSUME
from engine.storage.tables.core import tokens
from engine.storage.tables.ledger import ledger
from engine.storage.tables.own import budget_use, budgets, facts
from engine.storage.tables.teams import key_holders, labels

KEY, USER, MEMBER, PROJECT, TAG = "key", "user", "member", "project", "tag"
HOLDERS = (KEY, USER, MEMBER, PROJECT, TAG)
PERIODS = ("day", "week", "month")
QUOTA, TOKENS = "quota", "tokens"
_ZONE = "budget zone"
HolderId = tuple[str, int]
Tag = tuple[int, str]
"""Whose (0: everybody's), and its name in small letters, as calls have it."""
_BOUND = 500


@dataclass(frozen=True, slots=True)
class Budget:
    """One bound. ``soft_percent`` of it is where warnings begin; 0 for none.

    ``rollover``: percent of the amount that may be carried over. ``carried`` was, into the period that began ``since``.
    """

    id: int
    holder: str
    holder_id: int
    period: str
    unit: str
    amount: int
    soft_percent: int
    rollover: int = 0
    carried: int = 0
    since: int = 0

    def limit(self, begun: int) -> int:
        """What may be used in the period that began then."""
        return self.amount + (self.carried if begun == self.since else 0)


@dataclass(frozen=True, slots=True)
class Binding:
    """Which budgets there are: of each holder, of each key by the holders that it is counted for, and of each tag.

    ``newest`` is the highest id that a key had: what is known of one beyond it is nothing.
    """

    by_holder: Mapping[HolderId, tuple[Budget, ...]]
    by_key: Mapping[int, tuple[Budget, ...]]
    newest: int
    by_tag: Mapping[Tag, tuple[Budget, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Use:
    """A finished call, as budgets count it."""

    user_id: int
    token_id: int
    quota: int
    tokens: int
    at: int
    tags: tuple[str, ...] = ()


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


def load(db: Database) -> dict[HolderId, tuple[Budget, ...]]:
    """All budgets, by holder, with what was carried over into their running periods."""
    by_holder: dict[HolderId, list[Budget]] = {}
    if budgets.name in db.columns:
        with db.read() as connection:
            now = time.time()
            for budget in _listed(connection):
                carrying = _carried(connection, budget, now, db.zone)
                by_holder.setdefault((budget.holder, budget.holder_id), []).append(carrying)
    return {holder: tuple(listed) for holder, listed in by_holder.items()}


def bind(db: Database) -> Binding:
    """The same, and by key what binds it for those that it is counted for."""
    by_holder = load(db)
    if all(holder in (KEY, USER) for holder, _ in by_holder) and not defaults(db):
        return Binding(by_holder, {}, 0)
    by_key: dict[int, tuple[Budget, ...]] = {}
    with db.read() as connection:
        newest = connection.execute(select(func.max(tokens.c.id))).scalar() or 0
        for token, holder, which in connection.execute(select(key_holders)):
            if (holder, which) in by_holder:
                by_key[token] = (*by_key.get(token, ()), *by_holder[holder, which])
        names = _names(connection, [which for holder, which in by_holder if holder == TAG])
    by_tag = {tag: tuple(one for which in ids for one in by_holder[TAG, which]) for tag, ids in names.items()}
    return Binding(by_holder, by_key, newest, by_tag)


def _names(connection: Connection, ids: Sequence[int]) -> dict[Tag, list[int]]:
    """Tags by whose they are and what they are called; names that differ by capitals alone are one for calls."""
    names: dict[Tag, list[int]] = {}
    for start in range(0, len(ids), _BOUND):
        chosen = select(labels.c.user_id, labels.c.name, labels.c.id)
        for user, name, which in connection.execute(chosen.where(labels.c.id.in_(list(ids[start : start + _BOUND])))):
            names.setdefault((user, name.lower()), []).append(which)
    return names


def carrying(db: Database, budget: Budget) -> Budget:
    """With what was left of the period before, as far as it may be carried over."""
    with db.read() as connection:
        return _carried(connection, budget, time.time(), db.zone)


def _carried(connection: Connection, budget: Budget, now: float, zone: datetime.tzinfo | None) -> Budget:
    """Nothing comes from a period in which there was no such budget."""
    if not budget.rollover:
        return budget
    since = begins(budget.period, now, zone)
    place = _place(budget, since - 1, zone)
    spent = connection.execute(select(budget_use.c.used).where(*place)).scalar()
    if spent is None:
        made = connection.execute(select(budgets.c.created_at).where(budgets.c.id == budget.id)).scalar()
        if made is None or made >= since:
            return budget
    left = min(budget.amount * budget.rollover // 100, max(0, budget.amount - int(spent or 0)))
    return replace(budget, carried=left, since=since)


def defaults(db: Database) -> list[Budget]:
    """What each new user or key begins with: rows of nobody (``holder_id`` 0), which bind nobody themselves."""
    if budgets.name not in db.columns:
        return []
    with db.read() as connection:
        return [budget for budget in _all(connection) if not budget.holder_id]


def begin(db: Database, connection: Connection, holder: str, which: int) -> None:
    """Bind a user or key that is made in this transaction as the defaults say."""
    for budget in _all(connection) if budgets.name in db.columns else ():
        if budget.holder == holder and not budget.holder_id:
            names = ("holder", "period", "unit", "amount", "soft_percent", "rollover")
            row = {name: getattr(budget, name) for name in names}
            values = {**row, "holder_id": which, "created_at": int(time.time()), "declared": ""}
            connection.execute(insert(budgets).values(values))


def _listed(connection: Connection) -> list[Budget]:
    return [budget for budget in _all(connection) if budget.holder_id]


def _all(connection: Connection) -> list[Budget]:
    # PERF: 30 us; as a Core select it costs each commit of the ledger 200 more
    columns = "id, holder, holder_id, period, unit, amount, soft_percent, rollover"
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


def put(db: Database, log_db: Database, budget: Budget, declared: str = "") -> None:
    """Set a budget, in place of one of the same holder, period and unit; its id is not looked at."""
    now = time.time()
    since = begins(budget.period, now, db.zone)
    spent = _spent(db, log_db, budget, since) if budget.holder_id else 0
    names = ("holder", "holder_id", "period", "unit", "amount", "soft_percent", "rollover")
    row = {name: getattr(budget, name) for name in names} | {"declared": declared}
    place = {**{name: row[name] for name in ("holder", "holder_id", "period", "unit")}}

    def work(connection: Connection) -> int:
        same = [budgets.c[name] == value for name, value in place.items()]
        before = connection.execute(select(budgets.c.created_at).where(*same)).scalar()
        new = connection.execute(delete(budgets).where(*same)).rowcount == 0
        # one in place of another goes on with what that one had left
        connection.execute(insert(budgets).values({**row, "created_at": before or int(now)}))
        if new:
            connection.execute(delete(budget_use).where(*_place(budget, now, db.zone)))
            connection.execute(insert(budget_use).values({**place, "begins": since, "used": spent}))
        return 0

    db.write(work)


def _spent(db: Database, log_db: Database, budget: Budget, since: int) -> int:
    with db.read() as connection:
        tagged = _tagged(connection, budget, since)
    return _logged(db, log_db, budget, since) + _unlogged(db, budget, since) + tagged


def _logged(db: Database, log_db: Database, budget: Budget, since: int) -> int:
    """What the log rows say was used since then."""
    columns = log_db.columns.get("logs", frozenset())
    holder = "user_id" if budget.holder == USER else "token_id"
    if holder not in columns:
        return 0
    row = sql_table("logs", *(column(name) for name in columns)).c
    amount = row.quota if budget.unit == QUOTA else func.coalesce(row.prompt_tokens, 0) + row.completion_tokens
    with db.read() as connection:
        ids = _counted(connection, budget)
    with log_db.read() as connection:
        spent = 0
        for start in range(0, len(ids), _BOUND):
            part = row[holder].in_(ids[start : start + _BOUND])
            chosen = select(func.sum(amount)).where(part, row.created_at >= since, row.type == CONSUME)
            spent += int(connection.execute(chosen).scalar() or 0)
    return spent


def _counted(connection: Connection, budget: Budget) -> Sequence[int]:
    """The user, or the keys, whose calls a budget counts."""
    if budget.holder in (KEY, USER):
        return [budget.holder_id]
    mine = (key_holders.c.holder == budget.holder, key_holders.c.holder_id == budget.holder_id)
    return connection.execute(select(key_holders.c.token_id).where(*mine)).scalars().all()


def _unlogged(db: Database, budget: Budget, since: int) -> int:
    """What calls used since then of which the operator wants no log row."""
    # older rows have nothing there, and a log row
    with db.read() as connection:
        return _ledgered(connection, budget, since, ledger.c.logged == False)  # noqa: E712 - SQL


def _ledgered(connection: Connection, budget: Budget, since: int, *more: Any) -> int:
    """What the ledger says was used since then."""
    row, ids, spent = ledger.c, _counted(connection, budget), 0
    amount = row.quota if budget.unit == QUOTA else row.prompt_tokens + row.completion_tokens
    for start in range(0, len(ids), _BOUND):
        part = (row.user_id if budget.holder == USER else row.token_id).in_(ids[start : start + _BOUND])
        conditions = (part, row.created_at >= since, row.counted == True, *more)  # noqa: E712 - SQL
        spent += int(connection.execute(select(func.sum(amount)).where(*conditions)).scalar() or 0)
    return spent


def _tagged(connection: Connection, budget: Budget, since: int) -> int:
    """What calls used since then that have a tag themselves, with keys that are not counted for it anyway."""
    if budget.holder != TAG:
        return 0
    row, spent = ledger.c, 0
    amount = row.quota if budget.unit == QUOTA else row.prompt_tokens + row.completion_tokens
    mine = select(key_holders.c.token_id).where(
        key_holders.c.holder == TAG, key_holders.c.holder_id == budget.holder_id
    )
    for user, name in _names(connection, [budget.holder_id]):
        has = row.tags.like(f"%,{escaped(name)},%", escape="!")
        conditions = [has, row.created_at >= since, row.counted == True, row.token_id.not_in(mine)]  # noqa: E712 - SQL
        conditions += [row.user_id == user] if user else []
        spent += int(connection.execute(select(func.sum(amount)).where(*conditions)).scalar() or 0)
    return spent


def zone_mark(db: Database) -> str:
    """The zone that periods are counted in, and since when: another text after each change of it."""
    with db.read() as connection:
        return str(connection.execute(select(facts.c.value).where(facts.c.name == _ZONE)).scalar() or "")


def follow_zone(db: Database) -> bool:
    """Where periods begin at other times than before, count anew from the ledger what was used in the running ones.

    True if so. Called at the start, before there are workers.
    """
    name = str(db.zone) if db.zone is not None else time.strftime("%z")
    mark = zone_mark(db)
    if mark.partition("@")[0] == name:
        return False
    now = time.time()

    def work(connection: Connection) -> int:
        for budget in _listed(connection) if mark else ():
            since = begins(budget.period, now, db.zone)
            row = {name: getattr(budget, name) for name in ("holder", "holder_id", "period", "unit")}
            connection.execute(delete(budget_use).where(*_place(budget, now, db.zone)))
            spent = _ledgered(connection, budget, since) + _tagged(connection, budget, since)
            connection.execute(insert(budget_use).values({**row, "begins": since, "used": spent}))
        connection.execute(delete(facts).where(facts.c.name == _ZONE))
        connection.execute(insert(facts).values(name=_ZONE, value=f"{name}@{time.time_ns()}"))
        return 0

    db.write(work)
    return bool(mark)


def remove(db: Database, which: int) -> bool:
    """Take a budget away; false when there is none of this id."""
    return db.write(lambda c: c.execute(delete(budgets).where(budgets.c.id == which)).rowcount) == 1


def apply(connection: Connection, uses: Iterable[Use], zone: datetime.tzinfo | None) -> None:
    """Count finished calls towards the budgets of their keys, users and whom else they count for, as is set now."""
    set_now = _listed(connection)
    if not set_now:
        return
    by_holder: dict[HolderId, list[Use]] = {}
    for use in uses:
        by_holder.setdefault((KEY, use.token_id), []).append(use)
        by_holder.setdefault((USER, use.user_id), []).append(use)
    if any(budget.holder not in (KEY, USER) for budget in set_now):
        _count_for(connection, by_holder)
        _count_tagged(connection, by_holder, {one.holder_id for one in set_now if one.holder == TAG})
    sums: dict[tuple[str, int, str, str, int], int] = {}
    for budget in set_now:
        for use in by_holder.get((budget.holder, budget.holder_id), ()):
            amount = use.quota if budget.unit == QUOTA else use.tokens
            place = (budget.holder, budget.holder_id, budget.period, budget.unit, begins(budget.period, use.at, zone))
            sums[place] = sums.get(place, 0) + amount
    for place, amount in sorted(sums.items()):  # in one order, so that two such transactions wait and never deadlock
        names = ("holder", "holder_id", "period", "unit", "begins")
        crud.add_up(connection, budget_use, dict(zip(names, place, strict=True)), {"used": amount})


def _count_for(connection: Connection, by_holder: dict[HolderId, list[Use]]) -> None:
    """Add whom else the keys of calls count for."""
    keys = [which for holder, which in by_holder if holder == KEY]
    for start in range(0, len(keys), _BOUND):
        chosen = select(key_holders).where(key_holders.c.token_id.in_(keys[start : start + _BOUND]))
        for token, holder, which in connection.execute(chosen).all():
            by_holder.setdefault((holder, which), []).extend(by_holder[KEY, token])


def _count_tagged(connection: Connection, by_holder: dict[HolderId, list[Use]], ids: Iterable[int]) -> None:
    """Add calls that have a tag themselves, but those that count for it by their key."""
    tagged = [use for (holder, _), uses in by_holder.items() if holder == KEY for use in uses if use.tags]
    names = _names(connection, sorted(ids)) if tagged else {}
    by_key = {place: {use.token_id for use in uses} for place, uses in by_holder.items() if place[0] == TAG}
    for use in tagged:
        for tag in use.tags:
            for which in (*names.get((use.user_id, tag), ()), *names.get((0, tag), ())):
                if use.token_id not in by_key.get((TAG, which), ()):
                    by_holder.setdefault((TAG, which), []).append(use)
