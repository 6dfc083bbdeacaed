"""Models, vendors and prefilled groups as rows: the three tables of the console's catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, func, or_, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.channel_edits import escaped
from engine.storage.rows.crud import Row
from engine.storage.tables.catalogue import models, prefill_groups, vendors

TABLES: dict[str, Table] = {"models": models, "vendors": vendors, "prefill": prefill_groups}
NAMES = {"models": "model_name", "vendors": "name", "prefill": "name"}


def one(db: Database, kind: str, which: int) -> Row | None:
    """A row by id."""
    table = TABLES[kind]
    return crud.one(db, table, table.c.id == which, *crud.alive(db, table))


def named(db: Database, kind: str, name: str) -> Row | None:
    """A row by name."""
    table = TABLES[kind]
    row = crud.one(db, table, table.c[NAMES[kind]] == name, *crud.alive(db, table))
    return row if row is not None and row[NAMES[kind]] == name else None


def page(db: Database, kind: str, where: Sequence[Any], offset: int, limit: int) -> tuple[list[Row], int]:
    """A page of rows, newest first."""
    table = TABLES[kind]
    chosen = [*crud.alive(db, table), *where]
    rows = crud.listed(db, table, chosen, [table.c.id.desc()], offset=offset, limit=limit)
    return rows, crud.count(db, table, chosen)


def everything(db: Database, kind: str) -> list[Row]:
    """All rows, by id; 5000 at most."""
    table = TABLES[kind]
    if table.name not in db.columns:
        return []
    return crud.listed(db, table, crud.alive(db, table), [table.c.id], limit=5_000, offset=0)


def matching(kind: str, keyword: str) -> list[Any]:
    """The condition that name, description or tags hold a word."""
    if not keyword:
        return []
    table, pattern = TABLES[kind], f"%{escaped(keyword)}%"
    columns = [table.c[NAMES[kind]], table.c.description] + ([table.c.tags] if kind == "models" else [])
    return [or_(*(column.like(pattern, escape="!") for column in columns))]


def of_vendors(ids: Sequence[int]) -> list[Any]:
    """The condition that a model is one of these vendors'."""
    return [models.c.vendor_id.in_(list(ids))]


def of_status(status: int) -> list[Any]:
    """The condition that a model is listed or not."""
    return [models.c.status == status]


def of_sync(official: bool) -> list[Any]:
    """The condition that a model follows the official list or not."""
    return [models.c.sync_official == int(official)]


def of_type(kind: str) -> list[Any]:
    """The condition that a prefilled group is of a type."""
    return [prefill_groups.c.type == kind]


def vendor_counts(db: Database) -> dict[str, int]:
    """How many models each vendor has; 0 is none."""
    if models.name not in db.columns:
        return {}
    chosen = select(models.c.vendor_id, func.count()).where(*crud.alive(db, models)).group_by(models.c.vendor_id)
    with db.read() as reader:
        return {str(row[0] or 0): int(row[1]) for row in reader.execute(chosen)}


def add(db: Database, kind: str, values: Mapping[str, Any]) -> int:
    """Make a row; its id."""
    return db.write(lambda connection: crud.add(db, connection, TABLES[kind], values))


def change(db: Database, kind: str, which: int, values: Mapping[str, Any]) -> int:
    """Change a row."""
    table = TABLES[kind]
    return db.write(lambda connection: crud.change(db, connection, table, [table.c.id == which], values))


def bury(db: Database, kind: str, which: int) -> int:
    """Delete a row."""
    table = TABLES[kind]
    return db.write(lambda connection: crud.bury(db, connection, table, [table.c.id == which]))
