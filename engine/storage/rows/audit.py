"""Reads the ledger back: sums by holder beside what the counters say, rows beside their log rows, a period's calls.

All of ``sums`` is read in one snapshot, so that a gateway may go on meanwhile. Gives plain data; the verdict is made
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows.log_rows import REFUND
from engine.storage.rows.posting import CORRECTION
from engine.storage.snapshot import snapshot
from engine.storage.tables.core import logs
from engine.storage.tables.ledger import ledger, opening
from engine.storage.tables.own import grants

_CHUNK = 500
_SAID = f"CASE WHEN type = {REFUND} THEN -quota ELSE quota END"
"""What a log row says of a charge: one of money that was given back tells how much that is."""
_LOGGED = ("username", "token_name", "group", "is_stream", "use_time", "upstream_request_id", "other")


@dataclass(slots=True)
class HolderTotals:
    """A user, a key, a channel or a plan: what it stood at, what was charged and granted since, and what its row says.

    ``logged`` is the part of ``charged`` that log rows tell, ``planned`` the part of a user's that plans paid; to a
    plan is granted what its resets gave back, below zero.
    """

    kind: str
    id: int
    opened: tuple[int, int, int] | None = None
    charged: int = 0
    calls: int = 0
    logged: int = 0
    planned: int = 0
    granted: int = 0
    row: tuple[int | None, int | None, int | None] | None = None
    """Balance, used and requests; a column that there is none of is nothing."""


@dataclass(slots=True)
class LedgerSums:
    """What one snapshot says."""

    holders: list[HolderTotals] = field(default_factory=list)
    calls: int = 0
    charged: int = 0


_ROWS = {
    "user": ("users", "user_id", "quota", "used_quota", "request_count"),
    "token": ("tokens", "token_id", "remain_quota", "used_quota", None),
    "channel": ("channels", "channel_id", None, "used_quota", None),
    "plan": ("user_subscriptions", "plan", None, "amount_used", None),
}


def sums(db: Database) -> LedgerSums:
    """Every holder that was ever charged or opened."""
    with snapshot(db) as connection:
        totals: dict[tuple[str, int], HolderTotals] = {}
        noted: dict[tuple[str, int], int] = {}
        for kind, holder_id, quota, used, requests, granted in _all(
            connection,
            f"SELECT holder, holder_id, quota, used, requests, granted FROM {opening.name}",  # noqa: S608
        ):
            totals[kind, holder_id] = HolderTotals(kind, holder_id, opened=(quota, used, requests))
            noted[kind, holder_id] = granted
        for kind in _ROWS:
            _charges(connection, kind, totals)
            _counters(connection, db, kind, totals)
        chosen = f"SELECT id, user_id, token_id, COALESCE(plan_id, 0), amount FROM {grants.name}"  # noqa: S608
        for number, user, token, plan, amount in _all(connection, chosen):
            key = ("plan", plan) if plan else ("token", token) if token else ("user", user)
            if key in totals and number > noted.get(key, 0):
                totals[key].granted += amount
        total = _all(connection, f"SELECT COUNT(*), COALESCE(SUM(quota), 0) FROM {ledger.name}")[0]  # noqa: S608
    return LedgerSums([totals[key] for key in sorted(totals)], int(total[0]), int(total[1]))


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A call that the ledger and the log tell differently: its charge and log rows, as they should be and are."""

    request_id: str
    charged: int
    wanted: int
    rows: int
    said: int | None


def unmatched(db: Database, log_db: Database, since: int = 0) -> Iterator[Unmatched]:
    """Calls since then that were served and have not the one log row that tells their charge, or should have none."""
    if "request_id" not in log_db.columns.get("logs", frozenset()):
        return
    with db.read() as connection, log_db.read() as other:
        for part in _chunks(connection, since):
            marks = ", ".join([_mark(other)] * len(part))
            rows = other.exec_driver_sql(
                f"SELECT request_id, COUNT(*), COALESCE(SUM({_SAID}), 0) FROM {logs.name}"  # noqa: S608
                f" WHERE request_id IN ({marks}) GROUP BY request_id",
                tuple(part),
            )
            sums = {row[0]: (int(row[1]), int(row[2])) for row in rows}
            for request, (quota, entered) in part.items():
                count, logged = sums.get(request, (0, None))
                if count != entered or (entered and logged != quota):
                    yield Unmatched(request, quota, entered, count, logged)


def log_sums(log_db: Database) -> dict[int, int]:
    """What the log's rows of use add up to, by user."""
    with log_db.read() as connection:
        rows = _all(
            connection,
            f"SELECT user_id, COALESCE(SUM(quota), 0) FROM {logs.name} WHERE type = 2 GROUP BY user_id",  # noqa: S608
        )
    return {row[0]: int(row[1]) for row in rows}


def calls(db: Database, log_db: Database, start: int, end: int) -> Iterator[dict[str, Any]]:
    """The calls of a period in the order of time, each with its log row's columns where there is one."""
    names = [column.name for column in ledger.columns]
    columns = log_db.columns.get("logs", frozenset())
    logged = [name for name in _LOGGED if name in columns and "request_id" in columns]
    quote = log_db.dialect.identifier_preparer.quote
    with db.read() as connection, log_db.read() as other:
        mark = _mark(connection)
        last: tuple[int, str] = (start, "")
        sql = (
            f"SELECT {', '.join(names)} FROM {ledger.name} WHERE created_at < {mark}"  # noqa: S608 - our names
            f" AND (created_at > {mark} OR (created_at = {mark} AND request_id > {mark}))"
            f" ORDER BY created_at, request_id LIMIT {_CHUNK}"
        )
        while part := [
            dict(zip(names, row, strict=True)) for row in _all(connection, sql, (end, last[0], last[0], last[1]))
        ]:
            last = (part[-1]["created_at"], part[-1]["request_id"])
            more: Mapping[str, Any] = {}
            if logged:
                marks = ", ".join([_mark(other)] * len(part))
                chosen = ", ".join(quote(name) for name in logged)
                rows = other.exec_driver_sql(
                    f"SELECT request_id, {chosen} FROM {logs.name} WHERE request_id IN ({marks})",  # noqa: S608
                    tuple(row["request_id"] for row in part),
                )
                more = {row[0]: dict(zip(logged, row[1:], strict=True)) for row in rows}
            for row in part:
                yield {**row, **more.get(row["request_id"], {})}


def _charges(connection: Connection, kind: str, totals: dict[tuple[str, int], HolderTotals]) -> None:
    column = _ROWS[kind][1]
    true = _true(connection)
    rows = _all(
        connection,
        f"SELECT {column}, SUM(quota), SUM(CASE WHEN source = '{CORRECTION}' THEN 0 ELSE 1 END),"  # noqa: S608
        f" SUM(CASE WHEN COALESCE(logged, {true}) = {true} AND quota > 0 THEN quota ELSE 0 END),"
        f" SUM(CASE WHEN COALESCE(plan, 0) <> 0 THEN quota ELSE 0 END)"
        f" FROM {ledger.name} WHERE {column} <> 0 AND counted = {true} GROUP BY {column}",
    )
    for holder_id, *sums in rows:
        holder = totals.setdefault((kind, holder_id), HolderTotals(kind, holder_id))
        holder.charged, holder.calls, holder.logged, planned = (int(value) for value in sums)
        holder.planned = planned if kind == "user" else 0


def _counters(connection: Connection, db: Database, kind: str, totals: dict[tuple[str, int], HolderTotals]) -> None:
    table, _, *columns = _ROWS[kind]
    known = db.columns.get(table, frozenset())
    chosen = ", ".join(f"COALESCE({name}, 0)" if name in known else "NULL" for name in columns)
    ids = [holder_id for name, holder_id in totals if name == kind]
    mark = _mark(connection)
    for start in range(0, len(ids), _CHUNK):
        part = tuple(ids[start : start + _CHUNK])
        marks = ", ".join([mark] * len(part))
        for row in connection.exec_driver_sql(f"SELECT id, {chosen} FROM {table} WHERE id IN ({marks})", part):  # noqa: S608
            totals[kind, row[0]].row = (row[1], row[2], row[3])


def _chunks(connection: Connection, since: int) -> Iterator[dict[str, tuple[int, int]]]:
    """Charge and number of log rows of the calls that were served since then, in pieces by the order of request ids:
    nothing is held open meanwhile."""
    last, mark = "", _mark(connection)
    true = _true(connection)
    while True:
        rows = _all(
            connection,
            f"SELECT request_id, quota, COALESCE(logged, {true}) FROM {ledger.name}"  # noqa: S608
            f" WHERE request_id > {mark} AND counted = {true} AND created_at >= {mark}"
            f" ORDER BY request_id LIMIT {_CHUNK}",
            (last, since),
        )
        if not rows:
            return
        last = rows[-1][0]
        yield {row[0]: (int(row[1]), int(row[2])) for row in rows}


def _true(connection: Connection) -> str:
    return "TRUE" if connection.dialect.name == "postgresql" else "1"


def _all(connection: Connection, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
    return list(connection.exec_driver_sql(sql, values or None))


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"
