"""Rows of any table as dicts, read and written over the columns that this database really has.

Reads take the open database, writes a connection inside the caller's transaction. Knows no table by name.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from engine.errors import Conflict, NotFound
from engine.storage.database import Database

Row = dict[str, Any]
Guard = Callable[[Row], None]
"""Looks at a row inside the transaction that changes it, and raises where it is not as the caller knew it."""


def columns(db: Database, table: Table) -> list[Column[Any]]:
    """The columns of a table that are there."""
    there = db.columns.get(table.name, frozenset())
    return [column for column in table.c if column.name in there]


def present(db: Database, table: Table, values: Mapping[str, Any]) -> Row:
    """Those of the values whose columns are there."""
    there = db.columns.get(table.name, frozenset())
    return {name: value for name, value in values.items() if name in there}


def alive(db: Database, table: Table) -> list[Any]:
    """The condition that a row is not deleted, where rows of the table can be."""
    return [table.c.deleted_at.is_(None)] if "deleted_at" in db.columns.get(table.name, ()) else []


def is_on(column: Column[Any]) -> Any:
    """The condition that a flag is set."""
    return column == literal(True, column.type)


def is_off(column: Column[Any]) -> Any:
    """The condition that a flag is not set, which old rows say by nothing."""
    return or_(column.is_(None), column == literal(False, column.type))


def one(db: Database, table: Table, *where: Any, connection: Connection | None = None) -> Row | None:
    """The first row that fits; none, where an older program made no such table."""
    if table.name not in db.columns:
        return None
    chosen = select(*columns(db, table)).where(*where).limit(1)
    if connection is not None:
        row = connection.execute(chosen).mappings().first()
    else:
        with db.read() as reader:
            row = reader.execute(chosen).mappings().first()
    return None if row is None else {str(name): value for name, value in row.items()}


def listed(
    db: Database,
    table: Table,
    where: Sequence[Any] = (),
    order: Sequence[Any] = (),
    *,
    offset: int = 0,
    limit: int | None = None,
) -> list[Row]:
    """The rows that fit, in an order."""
    if table.name not in db.columns:
        return []
    chosen = select(*columns(db, table)).where(*where).order_by(*order)
    if limit is not None:
        chosen = chosen.limit(limit).offset(offset)
    with db.read() as reader:
        return [{str(name): value for name, value in row.items()} for row in reader.execute(chosen).mappings()]


def count(db: Database, table: Table, where: Sequence[Any] = (), *, most: int | None = None) -> int:
    """How many rows fit; no more than ``most`` are looked at."""
    if table.name not in db.columns:
        return 0
    if most is None:
        chosen = select(func.count()).select_from(table).where(*where)
    else:
        first = select(table.c[table.primary_key.columns.keys()[0]]).where(*where).limit(most).subquery()
        chosen = select(func.count()).select_from(first)
    with db.read() as reader:
        return int(reader.execute(chosen).scalar() or 0)


def add(db: Database, connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert a row; its id, where the engine gives one."""
    if table.name not in db.columns:
        raise Conflict(f"this database has no {table.name}: it was made by an older program; upgrade it first")
    result = connection.execute(insert(table).values(present(db, table, values)))
    key = result.inserted_primary_key
    return int(key[0]) if key and isinstance(key[0], int) else 0


def change(db: Database, connection: Connection, table: Table, where: Iterable[Any], values: Mapping[str, Any]) -> int:
    """Update the rows that fit; how many there were."""
    chosen = present(db, table, values)
    if not chosen:
        return 0
    return connection.execute(update(table).where(*where).values(chosen)).rowcount


def add_up(connection: Connection, table: Table, place: Mapping[str, Any], amounts: Mapping[str, Any]) -> None:
    """Add amounts to the row at a place, which is made where there is none."""
    sums = {name: table.c[name] + amount for name, amount in amounts.items()}
    if connection.dialect.name == "mysql":
        statement = mysql.insert(table).values({**place, **amounts})
        connection.execute(statement.on_duplicate_key_update(**sums))
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    upsert = dialect.insert(table).values({**place, **amounts})
    connection.execute(upsert.on_conflict_do_update(index_elements=[table.c[name] for name in place], set_=sums))


def remove(db: Database, connection: Connection, table: Table, where: Iterable[Any]) -> int:
    """Delete the rows that fit, for good."""
    return connection.execute(delete(table).where(*where)).rowcount


def guarded(db: Database, connection: Connection, table: Table, where: Any, guard: Guard | None) -> None:
    """Hold a row until the transaction ends, and have it looked at. Raises what ``guard`` does, or ``NotFound``."""
    if guard is None:
        return
    chosen = select(*columns(db, table)).where(where, *alive(db, table)).with_for_update()
    row = connection.execute(chosen).mappings().first()
    if row is None:
        raise NotFound("record not found")
    guard({str(name): value for name, value in row.items()})


def bury(db: Database, connection: Connection, table: Table, where: Sequence[Any]) -> int:
    """Mark the rows that fit as deleted, or delete them where rows can't be marked."""
    gone = alive(db, table)
    if not gone:
        return remove(db, connection, table, where)
    now = datetime.datetime.now(datetime.UTC)
    return connection.execute(update(table).where(*where, *gone).values(deleted_at=now)).rowcount


def moment(value: Any) -> str | None:
    """A point in time as lists show it, whichever way the engine kept it."""
    if value is None or isinstance(value, str):
        return None if value is None else value.replace(" ", "T", 1)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return str(value.isoformat())
