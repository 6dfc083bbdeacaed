"""The one transaction of finished calls: ledger rows, counters of users, keys and channels, log rows.

``post(connection, db, entries)`` writes all of it or nothing. A request id that the ledger has already makes the
transaction fail with an IntegrityError, unless ``doubt`` is set: then such entries are looked for first and left out.
Locks are taken in one order on every engine (users, keys, channels, each by id), so two posts wait and never deadlock.
Knows nothing of journals and prices.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from engine.storage import log_rows
from engine.storage.database import Database
from engine.storage.log_rows import LogRow, insert_many
from engine.storage.tables.ledger import ledger, opening
from engine.storage.tables.own import grants

_LEDGER = [column.name for column in ledger.columns]
_ASKED = 256
Sums = dict[int, list[int]]
"""By id: quota, calls, time of the last call."""


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
        there = posted(connection, [entry.request_id for entry in fresh])
        fresh = [entry for entry in fresh if entry.request_id not in there]
    if not fresh:
        return []
    flag = int if db.kind == "sqlite" else bool
    insert_many(connection, ledger.name, _LEDGER, [_values(entry, flag) for entry in fresh])
    users, tokens, channels = (_sums(fresh, name) for name in ("user_id", "token_id", "channel_id"))
    for name, sums in (("user", users), ("token", tokens), ("channel", channels)):
        if not all((name, one) in known for one in sums):
            _open(connection, db, name, sorted(sums))
        _count(connection, db, name, sums)
    if logs:
        log_rows.apply(connection, db, [entry.row for entry in fresh if entry.logged])
    return fresh


def posted(connection: Connection, request_ids: Sequence[str], table: str = ledger.name) -> set[str]:
    """Those of the request ids that a table holds already."""
    mark = _mark(connection)
    found: set[str] = set()
    for start in range(0, len(request_ids), _ASKED):
        part = tuple(request_ids[start : start + _ASKED])
        marks = ", ".join([mark] * len(part))
        rows = connection.exec_driver_sql(f"SELECT request_id FROM {table} WHERE request_id IN ({marks})", part)  # noqa: S608
        found.update(row[0] for row in rows)
    return found


def holders(entries: Iterable[Entry]) -> frozenset[tuple[str, int]]:
    """Users, keys and channels that entries name."""
    return frozenset(
        pair
        for entry in entries
        for pair in (("user", entry.user_id), ("token", entry.token_id), ("channel", entry.channel_id))
        if pair[1]
    )


def _values(entry: Entry, flag: Any) -> list[Any]:
    row = entry.row
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
    ]


def _sums(entries: Iterable[Entry], by: str) -> Sums:
    sums: Sums = {}
    for entry in entries:
        one = getattr(entry, by)
        if one and entry.counted:
            held = sums.setdefault(one, [0, 0, 0])
            held[0] += entry.quota
            held[1] += 1
            held[2] = max(held[2], entry.created_at)
    return sums


_OPENED = {
    "user": ("users", "quota", "used_quota", "request_count"),
    "token": ("tokens", "remain_quota", "used_quota", None),
    "channel": ("channels", None, "used_quota", None),
}


def _open(connection: Connection, db: Database, holder: str, ids: list[int]) -> None:
    """Note what holders stand at before their first charge; locks their rows in the order of ids."""
    table, *columns = _OPENED[holder]
    there = db.columns.get(table, frozenset())
    chosen = ", ".join(f"COALESCE({name}, 0)" if name in there else "0" for name in columns)
    mark = _mark(connection)
    marks = ", ".join([mark] * len(ids))
    lock = "" if db.kind == "sqlite" else " FOR UPDATE"
    found = connection.exec_driver_sql(
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
    rows = [[holder, row[0], row[1], row[2], row[3], granted, now] for row in found if row[0] not in before]
    insert_many(connection, opening.name, [column.name for column in opening.columns], rows)


def _count(connection: Connection, db: Database, holder: str, sums: Sums) -> None:
    """PERF: a statement for each holder, sent as one batch, in the order of ids."""
    if not sums:
        return
    table, balance, used, requests = _OPENED[holder]
    there = db.columns.get(table, frozenset())
    mark = _mark(connection)
    changes = [(balance, "-", 0), (used, "+", 0), (requests, "+", 1)]
    kept = [(name, sign, at) for name, sign, at in changes if name in there]
    clauses = [f"{name} = COALESCE({name}, 0) {sign} {mark}" for name, sign, _ in kept]
    touched = holder == "token" and "accessed_time" in there
    if touched:
        clauses.append(f"accessed_time = {mark}")
    if not clauses:
        return
    values = [
        (*(sums[one][at] for _, _, at in kept), *((sums[one][2],) if touched else ()), one) for one in sorted(sums)
    ]
    sql = f"UPDATE {table} SET {', '.join(clauses)} WHERE id = {mark}"  # noqa: S608 - our names
    if holder == "channel":  # what is free changes nothing of a channel
        values = [row for row in values if row[0]]
    if len(values) == 1:
        connection.exec_driver_sql(sql, values[0])
    elif values:
        connection.exec_driver_sql(sql, values)


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"
