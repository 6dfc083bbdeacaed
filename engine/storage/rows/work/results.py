"""What comes of tasks and is kept: a row for each result, put in with the move of its task to its end.

A row is taken from ``WAITING`` to its end by compare-and-set, so that what a slow or dead process did twice counts
once. Knows no store and no vendor.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, update

from engine.storage.rows import crud
from engine.storage.tables.own import results as table

if TYPE_CHECKING:
    from engine.storage.database import Database

WAITING, KEPT, FAILED = "waiting", "kept", "failed"
_LONGEST_NOTE, _LONGEST_TYPE = 1_000, 191


@dataclass(frozen=True, slots=True)
class KeptResult:
    """One result, see the table. Times are unix seconds."""

    id: int
    rows_of: str
    task_id: int
    number: int
    user_id: int
    store: str
    name: str
    state: str
    size: int
    media_type: str
    tries: int
    next_at: int
    kept_at: int
    until: int
    note: str


def want(connection: Connection, rows_of: str, task_id: int, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Note results that are to be kept, in the transaction that ends their task: maps of number, user_id, store, name.

    One that is noted already stays as it is.
    """
    for values in wanted:
        place = (table.c.rows_of == rows_of, table.c.task_id == task_id, table.c.number == values["number"])
        if connection.execute(select(table.c.id).where(*place)).first() is None:
            row = {"rows_of": rows_of, "task_id": task_id, "state": WAITING, **values}
            connection.execute(insert(table).values(row))


def waiting(db: Database, now: int, limit: int, without: Sequence[int] = ()) -> list[KeptResult]:
    """Results that are to be fetched now, the longest due first."""
    where = [table.c.state == WAITING, table.c.next_at <= now]
    where += [table.c.id.not_in(without)] if without else []
    return _rows(db, where, [table.c.next_at, table.c.id], limit)


def kept(db: Database, one: KeptResult, size: int, media_type: str, until: int) -> bool:
    """It lies in its store now; false where it waits no more: it was kept by another, or its task was deleted."""
    values = {"state": KEPT, "size": size, "media_type": media_type[:_LONGEST_TYPE], "until": until, "note": ""}
    return _end(db, one, {**values, "kept_at": int(time.time())})


def failed(db: Database, one: KeptResult, note: str, until: int) -> bool:
    """It is not kept, for good."""
    return _end(db, one, {"state": FAILED, "note": _plain(note), "until": until})


def again(db: Database, one: KeptResult, note: str, next_at: int) -> None:
    """It could not be kept, and is tried again at this moment."""
    _end(db, one, {"note": _plain(note), "next_at": next_at, "tries": one.tries + 1})


def _end(db: Database, one: KeptResult, values: Mapping[str, Any]) -> bool:
    mine = (table.c.id == one.id, table.c.state == WAITING)
    return db.write(lambda connection: connection.execute(update(table).where(*mine).values(values)).rowcount) == 1


def find(db: Database, rows_of: str, task_id: int, number: int) -> KeptResult | None:
    """A result of a task."""
    where = [table.c.rows_of == rows_of, table.c.task_id == task_id, table.c.number == number]
    return next(iter(_rows(db, where, (), 1)), None)


def of_tasks(db: Database, rows_of: str, ids: Sequence[int]) -> list[KeptResult]:
    """All results of some tasks, in their order."""
    if not ids:
        return []
    where = [table.c.rows_of == rows_of, table.c.task_id.in_(ids)]
    return _rows(db, where, [table.c.task_id, table.c.number], None)


def over(db: Database, now: int, limit: int) -> list[KeptResult]:
    """Those whose time is over."""
    return _rows(db, [table.c.until > 0, table.c.until <= now], [table.c.until], limit)


def end(connection: Connection, rows_of: str, task_id: int) -> None:
    """The time of a task's results is over: in the transaction that deletes it."""
    mine = (table.c.rows_of == rows_of, table.c.task_id == task_id)
    values = {"until": int(time.time()), "state": FAILED, "note": "its task was deleted"}
    connection.execute(update(table).where(*mine).values(values))


def later(db: Database, one: KeptResult, until: int) -> None:
    """Its store could not forget it; that is tried again."""
    db.write(lambda connection: connection.execute(update(table).where(table.c.id == one.id).values(until=until)))


def forget(db: Database, one: KeptResult) -> None:
    """Its store has it no more."""
    db.write(lambda connection: crud.remove(db, connection, table, [table.c.id == one.id]))


def _rows(db: Database, where: Sequence[Any], order: Sequence[Any], limit: int | None) -> list[KeptResult]:
    return [_row(row) for row in crud.listed(db, table, where, order, limit=limit)]


def _row(row: Mapping[str, Any]) -> KeptResult:
    values: dict[str, Any] = {name: row[name] for name in KeptResult.__slots__}
    return KeptResult(**{**values, "media_type": row["media_type"] or "", "note": row["note"] or ""})


def _plain(note: str) -> str:
    return note.replace("\0", "")[:_LONGEST_NOTE]
