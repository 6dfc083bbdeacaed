"""The trail of changes: rows that hang together by hashes. ``note`` writes one, ``verified`` finds what was changed."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.tables.own import audit, facts

_LAST = "audit_hash"
_CHANGED = "changed"
_HASHED = ("created_at", "user_id", "username", "ip", "action", "details", "previous")


def note(db: Database, connection: Connection, values: dict[str, Any]) -> None:
    """Write a row of the trail; the fact of the last hash is its lock."""
    last = connection.execute(select(facts.c.value).where(facts.c.name == _LAST).with_for_update()).scalar()
    details = orjson.dumps(values["details"], default=str).decode()[:60_000]
    row = {**values, "details": details, "created_at": int(time.time()), "previous": last or ""}
    row["hash"] = hashed(row)
    crud.add(db, connection, audit, row)
    crud.change(db, connection, facts, [facts.c.name == _LAST], {"value": row["hash"]})


def hashed(row: dict[str, Any]) -> str:
    """The hash of a row and of the one before it."""
    return hashlib.sha256(orjson.dumps([row[name] for name in _HASHED])).hexdigest()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many rows were looked at; the id of the first that is not as it was written, or 0; the last hash."""

    entries: int
    broken_at: int
    last: str


def verified(db: Database) -> Verdict:
    """Look at every row: as it was written, in its place, and none taken away, also not from the end."""
    before, last, count = "", 0, 0
    while rows := crud.listed(db, audit, [audit.c.id > last], [audit.c.id], limit=500):
        for row in rows:
            count += 1
            if row["previous"] != before or row["hash"] != hashed(row):
                return Verdict(count, int(row["id"]), before)
            before, last = row["hash"], row["id"]
    with db.read() as reader:
        noted = reader.execute(select(facts.c.value).where(facts.c.name == _LAST)).scalar() or ""
    # the last ones are missing: the row that should follow is the one that is broken
    return Verdict(count, 0 if noted == before else last + 1, before)


def page(db: Database, before: int, limit: int, word: str) -> list[crud.Row]:
    """Rows before an id (0: the newest), newest first; ``word`` is in the action or the name of who did it."""
    where: list[Any] = [audit.c.id < before] if before else []
    if word:
        where.append(audit.c.action.contains(word, autoescape=True) | audit.c.username.contains(word, autoescape=True))
    return crud.listed(db, audit, where, [audit.c.id.desc()], limit=limit)


def changed(db: Database, connection: Connection) -> None:
    """Say to all workers that options or channels have changed."""
    crud.change(db, connection, facts, [facts.c.name == _CHANGED], {"value": str(time.time_ns())})


def last_change(db: Database) -> str:
    """A text that differs once options or channels have changed."""
    query = db.prepared.get("last_change")
    if query is None:
        chosen = select(facts.c.value).where(facts.c.name == _CHANGED)
        query = db.prepared["last_change"] = db.query(chosen)
    row = query.one()
    return str(row[0]) if row else ""


def holds(db: Database, hash_: str) -> bool:
    """Whether a row has this hash."""
    return crud.one(db, audit, audit.c.hash == hash_) is not None
