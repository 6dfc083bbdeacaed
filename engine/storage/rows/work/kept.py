"""Whose is what providers keep: a row for each thing, found by the key that it belongs to and by no other.

Knows nothing of providers; what it is that is kept stands in the row's ``facts``, which are JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, insert, select, update

from engine.storage.rows import crud
from engine.storage.tables.own import kept as table

if TYPE_CHECKING:
    from engine.storage.database import Database

LONGEST = 191
"""Characters of an id that can be kept."""


@dataclass(frozen=True, slots=True)
class KeptThing:
    """One thing. ``facts``: the mark of its channel and of the key there, its format, its model, and what is shown."""

    family: str
    name: str
    user_id: int
    token_id: int
    channel_id: int
    created_at: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


def add(connection: Connection, things: Iterable[KeptThing]) -> None:
    """Note things, in the caller's transaction; one that is noted already stays as it is."""
    for resource in things:
        where = (
            table.c.name == resource.name,
            table.c.token_id == resource.token_id,
            table.c.family == resource.family,
            table.c.deleted_at == 0,
        )
        if connection.execute(select(table.c.id).where(*where).limit(1)).first() is None:
            connection.execute(insert(table).values(**_values(resource)))


def find(db: Database, token_id: int, family: str, name: str) -> KeptThing | None:
    """A key's thing, unless it was deleted."""
    where = [table.c.name == name, table.c.token_id == token_id, table.c.family == family, table.c.deleted_at == 0]
    rows = crud.listed(db, table, where, [table.c.id.desc()], limit=1)
    return _thing(rows[0]) if rows else None


def page(
    db: Database, token_id: int, family: str, limit: int, *, after: int = 0, newest: bool = True
) -> list[KeptThing]:
    """A key's things of a family, newest first or oldest first; those that follow the row ``after``."""
    where = [table.c.token_id == token_id, table.c.family == family, table.c.deleted_at == 0]
    if after:
        where.append(table.c.id < after if newest else table.c.id > after)
    order = table.c.id.desc() if newest else table.c.id.asc()
    return [_thing(row) for row in crud.listed(db, table, where, [order], limit=limit)]


def change(connection: Connection, thing: KeptThing, *, deleted_at: int = 0) -> None:
    """Note other facts of a thing, or that it was deleted."""
    values = {"facts": orjson.dumps(dict(thing.facts)).decode(), "deleted_at": deleted_at}
    connection.execute(update(table).where(table.c.id == thing.id).values(**values))


def _values(resource: KeptThing) -> dict[str, Any]:
    return {
        "family": resource.family, "name": resource.name, "user_id": resource.user_id, "token_id": resource.token_id,
        "channel_id": resource.channel_id, "created_at": resource.created_at, "deleted_at": 0,
        "facts": orjson.dumps(dict(resource.facts)).decode(),
    }  # fmt: skip


def _thing(row: Mapping[str, Any]) -> KeptThing:
    columns = {name: row[name] for name in ("family", "name", "user_id", "token_id", "channel_id", "created_at", "id")}
    return KeptThing(**columns, facts=orjson.loads(row["facts"] or b"{}"))
