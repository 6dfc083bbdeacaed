"""Who approved which changes. ``content`` is a hash over them; knows no rules."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from engine.storage.database import Database
from engine.storage.releases.documents import Author
from engine.storage.rows import crud
from engine.storage.tables.releases import approvals


def add(db: Database, content: str, author: Author) -> None:
    """Note that a person approves; once is enough."""
    row = {"content": content, "who": (str(author.id) if author.id else f"0:{author.name}")[:200]}

    def work(connection: Connection) -> None:
        where = [approvals.c.content == content, approvals.c.who == row["who"]]
        if crud.one(db, approvals, *where, connection=connection) is None:
            facts = {"user_id": author.id, "username": author.name[:191], "created_at": int(time.time())}
            crud.add(db, connection, approvals, {**row, **facts})

    db.write(work)


def of(db: Database, content: str) -> list[tuple[Author, int]]:
    """Who approved these changes, and when."""
    rows = crud.listed(db, approvals, [approvals.c.content == content], [approvals.c.created_at])
    return [(Author(int(row["user_id"] or 0), row["username"] or ""), int(row["created_at"] or 0)) for row in rows]
