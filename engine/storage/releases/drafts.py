"""Change sets that are not published: stored whole, each time that its author saves; a version keeps two tabs apart."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases.documents import Author, StoredDocument
from engine.storage.rows import crud
from engine.storage.tables.releases import drafts


@dataclass(frozen=True, slots=True)
class Draft:
    """A change set on release ``base``. ``changes`` may hold any text; one without a text takes its document away.

    ``version`` counts how often it was saved; ``hands`` are all who wrote at it, users
    by their numbers.
    """

    id: str
    name: str
    base: int
    author: Author
    message: str
    changes: Sequence[StoredDocument]
    version: int = 1
    changed_at: int = 0
    hands: frozenset[Author] = frozenset()


def create(db: Database, name: str, base: int, author: Author, changes: Sequence[StoredDocument] = ()) -> Draft:
    """Begin a change set."""
    draft = Draft(
        secrets.token_hex(8), name[:191], base, author, "", tuple(changes), 1, int(time.time()), frozenset({author})
    )
    row = {**_row(draft), "id": draft.id, "created_at": draft.changed_at}
    db.write(lambda connection: crud.add(db, connection, drafts, row))
    return draft


def save(db: Database, draft: Draft, by: Author | None = None) -> Draft:
    """Store a change set over the version that it was read as; a ``Conflict`` where that was saved meanwhile.

    ``by`` is who wrote at it, if anybody did.
    """
    hands = draft.hands | ({by} if by is not None else set())
    fresh = replace(draft, version=draft.version + 1, changed_at=int(time.time()), hands=hands)

    def work(connection: Connection) -> int:
        same = [drafts.c.id == draft.id, drafts.c.version == draft.version]
        return crud.change(db, connection, drafts, same, _row(fresh))

    if not db.write(work):
        now = one(db, draft.id)
        raise Conflict(
            f"the draft was saved elsewhere meanwhile (version {now.version}, yours is of {draft.version});"
            " nothing was overwritten: read it again"
        )
    return fresh


def one(db: Database, id_: str) -> Draft:
    """A change set."""
    row = crud.one(db, drafts, drafts.c.id == id_)
    if row is None:
        raise NotFound(f"there is no draft {id_}")
    return _draft(row)


def listed(db: Database, *, limit: int = 100) -> list[Draft]:
    """Change sets, the last saved first."""
    return [_draft(row) for row in crud.listed(db, drafts, (), [drafts.c.changed_at.desc(), drafts.c.id], limit=limit)]


def drop(db: Database, id_: str, *, version: int | None = None) -> None:
    """Take a change set away; one that was saved after a ``version`` stays."""
    where = [drafts.c.id == id_, *([] if version is None else [drafts.c.version == version])]
    db.write(lambda connection: crud.remove(db, connection, drafts, where))


def _row(draft: Draft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "base": draft.base,
        "user_id": draft.author.id,
        "username": draft.author.name,
        "message": draft.message[:4000],
        "changes": json.dumps([as_json(change) for change in draft.changes], ensure_ascii=False),
        "version": draft.version,
        "changed_at": draft.changed_at,
        "hands": json.dumps(sorted([hand.id, "" if hand.id else hand.name] for hand in draft.hands)),
    }


def as_json(one: StoredDocument) -> dict[str, Any]:
    """A change as plain data."""
    names = ("kind", "name", "owner", "text", "place", "line", "release")
    return {**{name: getattr(one, name) for name in names}, "labels": dict(one.labels)}


def of_json(data: dict[str, Any]) -> StoredDocument:
    """The change of plain data."""
    return StoredDocument(**data)


def _draft(row: dict[str, Any]) -> Draft:
    changes = tuple(of_json(change) for change in json.loads(row["changes"] or "[]"))
    author = Author(int(row["user_id"] or 0), row["username"] or "")
    return Draft(
        row["id"],
        row["name"] or "",
        int(row["base"] or 0),
        author,
        row["message"] or "",
        changes,
        int(row["version"]),
        int(row["changed_at"] or 0),
        frozenset({author, *(Author(*hand) for hand in json.loads(row.get("hands") or "[]"))}),
    )
