"""Marks of what was told: that it was, and how often since when. A name begins with what it is about: ``low:7``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.tables.outbox import marks

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark: a number, and since when (unix s)."""

    count: int
    at: int


def below(db: Database, about: str, connection: Connection | None = None) -> dict[str, Mark]:
    """The marks whose names begin with this, by the rest of the name."""
    chosen = select(marks).where(marks.c.name >= about, marks.c.name < about + "\U0000ffff")
    if connection is not None:
        rows = connection.execute(chosen).mappings().all()
    elif marks.name not in db.columns:
        return {}
    else:
        with db.read() as reader:
            rows = reader.execute(chosen).mappings().all()
    return {
        row["name"].removeprefix(about): Mark(int(row["count"]), int(row["at"]))
        for row in rows
        if row["name"].startswith(about)
    }


def one(connection: Connection, name: str) -> Mark | None:
    """A mark, inside a transaction that is to change it."""
    row = connection.execute(select(marks).where(marks.c.name == name).with_for_update()).mappings().first()
    return None if row is None else Mark(int(row["count"]), int(row["at"]))


def put(connection: Connection, name: str, mark: Mark) -> None:
    """Set a mark."""
    connection.execute(delete(marks).where(marks.c.name == name))
    connection.execute(insert(marks).values(name=name, count=mark.count, at=mark.at))


def drop(connection: Connection, names: Iterable[str]) -> None:
    """Take marks away."""
    listed = list(names)
    for start in range(0, len(listed), _CHUNK):
        connection.execute(delete(marks).where(marks.c.name.in_(listed[start : start + _CHUNK])))


def forget(db: Database, abouts: Collection[str], before: int) -> None:
    """Drop marks of these kinds that were set before a moment."""
    for about in abouts:
        where = [marks.c.name >= about, marks.c.name < about + "\U0000ffff", marks.c.at < before]
        db.write(lambda connection, where=where: crud.remove(db, connection, marks, where))  # type: ignore[misc]
