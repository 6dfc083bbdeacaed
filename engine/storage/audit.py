"""Reads the ledger back: sums by holder beside what the counters say, rows beside their log rows, a period's calls.

All of ``sums`` is read in one snapshot, so that a gateway may go on meanwhile. Gives plain data; the verdict is made
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.tables.core import logs
from engine.storage.tables.ledger import ledger, opening
from engine.storage.tables.own import grants

_CHUNK = 500
_LOGGED = ("username", "token_name", "group", "is_stream", "use_time", "upstream_request_id", "other")


@dataclass(slots=True)
class Holder:
    """A user, a key or a channel: what it stood at, what was charged and granted since, and what its row says now.

    ``logged`` is the part of ``charged`` that log rows tell.
    """

    kind: str
    id: int
    opened: tuple[int, int, int] | None = None
    charged: int = 0
    calls: int = 0
    logged: int = 0
    granted: int = 0
    row: tuple[int | None, int | None, int | None] | None = None
    """Balance, used and requests; a column that there is none of is nothing."""


@dataclass(slots=True)
class Sums:
    """What one snapshot says."""

    holders: list[Holder] = field(default_factory=list)
    calls: int = 0
    charged: int = 0


_ROWS = {
    "user": ("users", "user_id", "quota", "used_quota", "request_count"),
    "token": ("tokens", "token_id", "remain_quota", "used_quota", None),
    "channel": ("channels", "channel_id", None, "used_quota", None),
}


def sums(db: Database) -> Sums:
    """Every holder that was ever charged or opened."""
    with _snapshot(db) as connection:
        found: dict[tuple[str, int], Holder] = {}
        noted: dict[tuple[str, int], int] = {}
        for kind, one, quota, used, requests, granted in _all(
            connection,
            f"SELECT holder, holder_id, quota, used, requests, granted FROM {opening.name}",  # noqa: S608
        ):
            found[kind, one] = Holder(kind, one, opened=(quota, used, requests))
            noted[kind, one] = granted
        for kind in _ROWS:
            _charges(connection, kind, found)
            _counters(connection, db, kind, found)
        for number, user, token, amount in _all(connection, f"SELECT id, user_id, token_id, amount FROM {grants.name}"):  # noqa: S608
            key = ("token", token) if token else ("user", user)
            if key in found and number > noted.get(key, 0):
                found[key].granted += amount
        total = _all(connection, f"SELECT COUNT(*), COALESCE(SUM(quota), 0) FROM {ledger.name}")[0]  # noqa: S608
    return Sums([found[key] for key in sorted(found)], int(total[0]), int(total[1]))


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A call that the ledger and the log tell differently: its charge and log rows, as they should be and are."""

    request_id: str
    charged: int
    wanted: int
    rows: int
    said: int | None


def unmatched(db: Database, log_db: Database) -> Iterator[Unmatched]:
    """Calls that were served and have not the one log row that tells their charge, or have one and should not."""
    if "request_id" not in log_db.columns.get("logs", frozenset()):
        return
    with db.read() as one, log_db.read() as other:
        for part in _chunks(one):
            marks = ", ".join([_mark(other)] * len(part))
            rows = other.exec_driver_sql(
                f"SELECT request_id, COUNT(*), COALESCE(SUM(quota), 0) FROM {logs.name}"  # noqa: S608
                f" WHERE request_id IN ({marks}) GROUP BY request_id",
                tuple(part),
            )
            told = {row[0]: (int(row[1]), int(row[2])) for row in rows}
            for request, (quota, wanted) in part.items():
                count, said = told.get(request, (0, None))
                if count != wanted or (wanted and said != quota):
                    yield Unmatched(request, quota, wanted, count, said)


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
    there = log_db.columns.get("logs", frozenset())
    wanted = [name for name in _LOGGED if name in there and "request_id" in there]
    quote = log_db.dialect.identifier_preparer.quote
    with db.read() as one, log_db.read() as other:
        mark = _mark(one)
        last: tuple[int, str] = (start, "")
        sql = (
            f"SELECT {', '.join(names)} FROM {ledger.name} WHERE created_at < {mark}"  # noqa: S608 - our names
            f" AND (created_at > {mark} OR (created_at = {mark} AND request_id > {mark}))"
            f" ORDER BY created_at, request_id LIMIT {_CHUNK}"
        )
        while part := [dict(zip(names, row, strict=True)) for row in _all(one, sql, (end, last[0], last[0], last[1]))]:
            last = (part[-1]["created_at"], part[-1]["request_id"])
            more: Mapping[str, Any] = {}
            if wanted:
                marks = ", ".join([_mark(other)] * len(part))
                chosen = ", ".join(quote(name) for name in wanted)
                rows = other.exec_driver_sql(
                    f"SELECT request_id, {chosen} FROM {logs.name} WHERE request_id IN ({marks})",  # noqa: S608
                    tuple(row["request_id"] for row in part),
                )
                more = {row[0]: dict(zip(wanted, row[1:], strict=True)) for row in rows}
            for row in part:
                yield {**row, **more.get(row["request_id"], {})}


def _charges(connection: Connection, kind: str, found: dict[tuple[str, int], Holder]) -> None:
    column = _ROWS[kind][1]
    true = _true(connection)
    rows = _all(
        connection,
        f"SELECT {column}, SUM(quota), COUNT(*), SUM(CASE WHEN COALESCE(logged, {true}) = {true} THEN quota ELSE 0 END)"  # noqa: S608
        f" FROM {ledger.name} WHERE {column} <> 0 AND counted = {true} GROUP BY {column}",
    )
    for one, *sums in rows:
        holder = found.setdefault((kind, one), Holder(kind, one))
        holder.charged, holder.calls, holder.logged = (int(value) for value in sums)


def _counters(connection: Connection, db: Database, kind: str, found: dict[tuple[str, int], Holder]) -> None:
    table, _, *columns = _ROWS[kind]
    there = db.columns.get(table, frozenset())
    chosen = ", ".join(f"COALESCE({name}, 0)" if name in there else "NULL" for name in columns)
    ids = [one for name, one in found if name == kind]
    mark = _mark(connection)
    for start in range(0, len(ids), _CHUNK):
        part = tuple(ids[start : start + _CHUNK])
        marks = ", ".join([mark] * len(part))
        for row in connection.exec_driver_sql(f"SELECT id, {chosen} FROM {table} WHERE id IN ({marks})", part):  # noqa: S608
            found[kind, row[0]].row = (row[1], row[2], row[3])


def _chunks(connection: Connection) -> Iterator[dict[str, tuple[int, int]]]:
    """Charge and number of log rows of the calls that were served, in pieces by the order of request ids: nothing is
    held open meanwhile."""
    last, mark = "", _mark(connection)
    true = _true(connection)
    while True:
        rows = _all(
            connection,
            f"SELECT request_id, quota, COALESCE(logged, {true}) FROM {ledger.name}"  # noqa: S608
            f" WHERE request_id > {mark} AND counted = {true}"
            f" ORDER BY request_id LIMIT {_CHUNK}",
            (last,),
        )
        if not rows:
            return
        last = rows[-1][0]
        yield {row[0]: (int(row[1]), int(row[2])) for row in rows}


@contextmanager
def _snapshot(db: Database) -> Iterator[Connection]:
    with db.read() as connection:
        kind = connection.dialect.name
        if kind == "mysql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        elif kind == "postgresql":
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        else:
            connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")


def _true(connection: Connection) -> str:
    return "TRUE" if connection.dialect.name == "postgresql" else "1"


def _all(connection: Connection, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
    return list(connection.exec_driver_sql(sql, values or None))


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"
