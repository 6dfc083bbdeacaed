"""The mark that a site was set up."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.tables.core import users
from engine.storage.tables.system import setups


def done(db: Database) -> bool:
    """Whether the mark is there."""
    return "setups" in db.columns and crud.one(db, setups) is not None


def note(db: Database, connection: Connection, root: int) -> None:
    """Set the mark; root has no code for invitations before it asks for one."""
    crud.change(db, connection, users, [users.c.id == root], {"aff_code": ""})
    if "setups" in db.columns:
        crud.add(db, connection, setups, {"version": "gatewright", "initialized_at": int(time.time())})
