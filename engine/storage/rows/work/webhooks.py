"""Webhooks of operators as rows; secrets are sealed. Knows no rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Guard, Row
from engine.storage.tables.outbox import webhooks
from engine.storage.vault import WEBHOOK

MOST = 200


def listed(db: Database) -> list[Row]:
    """All of them, by id."""
    return crud.listed(db, webhooks, (), [webhooks.c.id], limit=MOST)


def one(db: Database, which: int) -> Row | None:
    """One by its id."""
    return crud.one(db, webhooks, webhooks.c.id == which)


def secret_of(db: Database, row: Row) -> str:
    """What it is signed with."""
    return db.vault.open(row["secret"] or "", WEBHOOK)


def add(db: Database, values: Mapping[str, Any]) -> int:
    """Make one; its id."""
    row = {**values, "secret": db.vault.seal(str(values["secret"]), WEBHOOK)}
    return db.write(lambda connection: crud.add(db, connection, webhooks, row))


def change(db: Database, which: int, values: Mapping[str, Any], guard: Guard | None = None) -> int:
    """Change one."""
    stored = dict(values)
    if "secret" in stored:
        stored["secret"] = db.vault.seal(str(stored["secret"]), WEBHOOK)

    def work(connection: Any) -> int:
        crud.guarded(db, connection, webhooks, webhooks.c.id == which, guard)
        return crud.change(db, connection, webhooks, [webhooks.c.id == which], stored)

    return db.write(work)


def remove(db: Database, which: int, guard: Guard | None = None) -> int:
    """Take one away."""

    def work(connection: Any) -> int:
        crud.guarded(db, connection, webhooks, webhooks.c.id == which, guard)
        return crud.remove(db, connection, webhooks, [webhooks.c.id == which])

    return db.write(work)
