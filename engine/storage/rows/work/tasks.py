"""Rows of unfinished and finished work, in the tables that the family's programs have for it, read and moved in place.

A row is made in the transaction that books its charge, and moved by compare-and-set on its state, so that of two who
move it one alone wins, with its money. Knows no vendor and no state's meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, insert, select, update

from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.rows.work import results
from engine.storage.tables import tasks as tables
from engine.storage.tables.core import users

if TYPE_CHECKING:
    from engine.storage.database import Database
    from engine.storage.rows.posting import Entry

TASKS, DRAWINGS = "tasks", "drawings"
TABLES: Mapping[str, Table] = {TASKS: tables.tasks, DRAWINGS: tables.midjourneys}
OWN = "gatewright"
"""The member of ``private_data``, of drawings of ``properties``, that is this program's."""
_ID = {TASKS: "task_id", DRAWINGS: "mj_id"}
_OPEN = ("NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "MODAL", "UNKNOWN", "")


def born(connection: Connection, db: Database, entries: Iterable[Entry]) -> None:
    """Make the rows that come into being with their charges."""
    for entry in entries:
        if entry.born is not None:
            table = TABLES[entry.born["rows"]]
            values = {**entry.born["values"], "quota": entry.quota}
            made = connection.execute(insert(table).values(crud.present(db, table, values)))
            if (wanted := entry.born.get("results")) and made.inserted_primary_key is not None:
                results.want(connection, entry.born["rows"], made.inserted_primary_key[0], wanted)


def end_of(rows: str, which: int, name: str) -> str:
    """The request id under which the end of a row is booked, where it changes the charge."""
    return f"{rows[:1]}{which}:{name}"[:60] + ":end"


def unfinished(db: Database, rows: str, *, after: int = 0) -> list[tuple[int, int]]:
    """Id and channel of every row that is not at its end, of those that follow the row ``after``."""
    table = TABLES[rows]
    if table.name not in db.columns:
        return []
    chosen = select(table.c.id, table.c.channel_id).where(table.c.status.in_(_OPEN))
    if after > 0:
        chosen = chosen.where(table.c.id > after)
    with db.read() as connection:
        return [(row[0], row[1] or 0) for row in connection.execute(chosen)]


def load(db: Database, rows: str, ids: Sequence[int]) -> list[Row]:
    """Rows by their ids."""
    table = TABLES[rows]
    return crud.listed(db, table, [table.c.id.in_(ids)]) if ids else []


def find(db: Database, rows: str, user_id: int, names: Sequence[str]) -> list[Row]:
    """A user's rows by what callers know them by."""
    table = TABLES[rows]
    where = [table.c[_ID[rows]].in_(names), table.c.user_id == user_id]
    return crud.listed(db, table, where, [table.c.id.desc()]) if names else []


def named(db: Database, name: str) -> Row | None:
    """Anybody's task of a name that nobody can guess."""
    return crud.one(db, tables.tasks, tables.tasks.c.task_id == name)


def page(
    db: Database, user_id: int, platform: str, limit: int, *, after: int = 0, before_first: bool = True
) -> list[Row]:
    """A user's rows of a platform, newest first, or oldest first; those that follow the row ``after``."""
    table = tables.tasks
    where = [table.c.user_id == user_id, table.c.platform == platform]
    if after:
        where.append(table.c.id < after if before_first else table.c.id > after)
    order = table.c.id.desc() if before_first else table.c.id.asc()
    return crud.listed(db, table, where, [order], limit=limit)


def move(connection: Connection, db: Database, rows: str, which: int, before: str, values: Mapping[str, Any]) -> bool:
    """Change a row, if it still is in the state that it was read in."""
    table = TABLES[rows]
    where = [table.c.id == which, table.c.status == before]
    return connection.execute(update(table).where(*where).values(crud.present(db, table, values))).rowcount == 1


def username(db: Database, user_id: int) -> str:
    """A user's name, for the log row of a correction."""
    row = crud.one(db, users, users.c.id == user_id)
    return str(row["username"]) if row else ""
