"""The one transaction of finished calls: ledger rows, counters of users, keys, channels and plans, log rows.

``post(connection, db, entries)`` writes all of it or nothing. A request id that the ledger has already makes the
transaction fail with an IntegrityError, unless ``doubt`` is set: then such entries are looked for first and left out.
Locks are taken in one order on every engine (users, keys, channels, plans, each by id), so two posts wait and never
deadlock. Knows nothing of journals and prices.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import log_rows
from engine.storage.rows.log_rows import LogRow, insert_many
from engine.storage.tables.ledger import ledger, opening
from engine.storage.tables.own import grants
from engine.storage.values import NANO

_LEDGER = [column.name for column in ledger.columns]
_ASKED = 256
Sums = dict[int, list[int]]
"""By id: what the balance pays, quota, calls, time of the last call."""


@dataclass(slots=True)
class Entry:
    """One finished call; never changed. ``counted``: it was served; ``source``: upstream, counted or estimated;
    ``logged``: it gets a log row.

    PERF: not frozen, which would make making one three times as dear.
    """

    request_id: str
    created_at: int
    user_id: int
    token_id: int
    channel_id: int
    quota: int
    counted: bool
    source: str
    row: LogRow
    logged: bool = True
    born: dict[str, Any] | None = None
    """A row that comes into being with the charge: the table's word in ``rows``, its columns in ``values``."""
    plan: int = 0
    """The subscription that pays, in place of the user's balance; 0: the balance does."""


CORRECTION = "correction"
"""The source of an entry that is no call, but sets right what one was charged."""


def post(
    connection: Connection,
    db: Database,
    entries: Sequence[Entry],
    *,
    doubt: bool = False,
    known: frozenset[tuple[str, int]] = frozenset(),
    logs: bool = True,
) -> list[Entry]:
    """Write entries in the caller's transaction and give those that were new.

    ``known`` are holders whose opening balance is noted for certain; ``logs`` is off where log rows live elsewhere.
    """
    fresh = list({entry.request_id: entry for entry in entries}.values())
    if doubt:
        booked = posted(connection, [entry.request_id for entry in fresh])
        fresh = [entry for entry in fresh if entry.request_id not in booked]
    if not fresh:
        return []
    flag = int if db.kind == "sqlite" else bool
    insert_many(connection, ledger.name, _LEDGER, [_values(entry, flag) for entry in fresh])
    for name, by in _HOLDERS:
        sums = _sums(fresh, by)
        if not all((name, number) in known for number in sums):
            _open(connection, db, name, sorted(sums))
        _count(connection, db, name, sums)
    if logs:
        log_rows.apply(connection, db, [entry.row for entry in fresh if entry.logged])
    return fresh


def posted(connection: Connection, request_ids: Sequence[str], table: str = ledger.name) -> set[str]:
    """Those of the request ids that a table holds already."""
    mark = _mark(connection)
    present: set[str] = set()
    for start in range(0, len(request_ids), _ASKED):
        part = tuple(request_ids[start : start + _ASKED])
        marks = ", ".join([mark] * len(part))
        rows = connection.exec_driver_sql(f"SELECT request_id FROM {table} WHERE request_id IN ({marks})", part)  # noqa: S608
        present.update(row[0] for row in rows)
    return present


def holders(entries: Iterable[Entry]) -> frozenset[tuple[str, int]]:
    """Users, keys, channels and plans that entries name."""
    return frozenset(
        pair for entry in entries for pair in ((name, getattr(entry, by)) for name, by in _HOLDERS) if pair[1]
    )


def _said(other: Any) -> dict[str, Any]:
    """What a log row says besides its columns; of a row that was written out before it is a text."""
    said = orjson.loads(other) if isinstance(other, str) and other else other
    return said if isinstance(said, dict) else {}


def cost_of(said: Mapping[str, Any]) -> int | None:
    """What a call cost the operator as its log row says, in billionths of a dollar; nothing where no document does."""
    facts = said.get("admin_info")
    text = facts.get("cost") if isinstance(facts, dict) else None
    try:
        cost = Decimal(str(text)) if text is not None else None
    except InvalidOperation:
        return None
    return None if cost is None or not cost.is_finite() or abs(cost) > NANO else int((cost * NANO).to_integral_value())


def tags_of(row: LogRow) -> tuple[str, ...]:
    """The tags of the call that a log row is of."""
    listed = _said(row.get("other")).get("tags")
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _values(entry: Entry, flag: Any) -> list[Any]:
    row, said = entry.row, _said(entry.row.get("other"))
    return [
        entry.request_id[:64],
        entry.created_at,
        entry.user_id,
        entry.token_id,
        entry.channel_id,
        entry.quota,
        flag(entry.counted),
        entry.source,
        row.get("model_name", "").replace("\0", "")[:191],
        row.get("prompt_tokens", 0),
        row.get("completion_tokens", 0),
        flag(entry.logged),
        entry.plan,
        str(said.get("release") or "")[:16],
        int(said.get("rows") or 0),
        f",{','.join(map(str, said['tags']))}," if said.get("tags") else "",
        cost_of(said),
    ]


def _sums(entries: Iterable[Entry], by: str) -> Sums:
    sums: Sums = {}
    for entry in entries:
        number = getattr(entry, by)
        if number and entry.counted:
            sum_of = sums.setdefault(number, [0, 0, 0, 0])
            sum_of[0] += entry.quota if by != "user_id" or not entry.plan else 0
            sum_of[1] += entry.quota
            sum_of[2] += entry.source != CORRECTION
            sum_of[3] = max(sum_of[3], entry.created_at)
    return sums


_OPENED = {
    "user": ("users", "quota", "used_quota", "request_count"),
    "token": ("tokens", "remain_quota", "used_quota", None),
    "channel": ("channels", None, "used_quota", None),
    "plan": ("user_subscriptions", None, "amount_used", None),
}
_HOLDERS = (("user", "user_id"), ("token", "token_id"), ("channel", "channel_id"), ("plan", "plan"))
"""In the order in which their rows are locked."""


def _open(connection: Connection, db: Database, holder: str, ids: list[int]) -> None:
    """Note what holders stand at before their first charge; locks their rows in the order of ids."""
    table, *columns = _OPENED[holder]
    columns_present = db.columns.get(table, frozenset())
    chosen = ", ".join(f"COALESCE({name}, 0)" if name in columns_present else "0" for name in columns)
    mark = _mark(connection)
    marks = ", ".join([mark] * len(ids))
    lock = "" if db.kind == "sqlite" else " FOR UPDATE"
    rows_before = connection.exec_driver_sql(
        f"SELECT id, {chosen} FROM {table} WHERE id IN ({marks}) ORDER BY id{lock}",  # noqa: S608 - our names
        tuple(ids),
    ).fetchall()
    noted = connection.exec_driver_sql(
        f"SELECT holder_id FROM {opening.name} WHERE holder = {mark} AND holder_id IN ({marks})",  # noqa: S608
        (holder, *ids),
    )
    before = {row[0] for row in noted}
    now = int(time.time())
    granted = connection.exec_driver_sql(f"SELECT COALESCE(MAX(id), 0) FROM {grants.name}").scalar()  # noqa: S608
    rows = [[holder, row[0], row[1], row[2], row[3], granted, now] for row in rows_before if row[0] not in before]
    insert_many(connection, opening.name, [column.name for column in opening.columns], rows)


def _count(connection: Connection, db: Database, holder: str, sums: Sums) -> None:
    """PERF: a statement for each holder, sent as one batch, in the order of ids."""
    if not sums:
        return
    table, balance, used, requests = _OPENED[holder]
    columns = db.columns.get(table, frozenset())
    mark = _mark(connection)
    changes = [(balance, "-", 0), (used, "+", 1), (requests, "+", 2)]
    counters = [(name, sign, at) for name, sign, at in changes if name in columns]
    clauses = [f"{name} = COALESCE({name}, 0) {sign} {mark}" for name, sign, _ in counters]
    touched = holder == "token" and "accessed_time" in columns
    if touched:
        clauses.append(f"accessed_time = {mark}")
    if not clauses:
        return
    values = [
        (*(sums[number][at] for _, _, at in counters), *((sums[number][3],) if touched else ()), number)
        for number in sorted(sums)
    ]
    sql = f"UPDATE {table} SET {', '.join(clauses)} WHERE id = {mark}"  # noqa: S608 - our names
    if holder in ("channel", "plan"):  # what is free changes nothing of these
        values = [row for row in values if row[0]]
    if len(values) == 1:
        connection.exec_driver_sql(sql, values[0])
    elif values:
        connection.exec_driver_sql(sql, values)


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"
