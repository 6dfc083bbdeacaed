"""Documents in the database, their revisions, and the one transaction that makes a release of changes.

A release is its number: the newest one is in force. What an older one held follows from the revisions up to it, so
nothing is stored twice. Takes and gives texts as they are; knows no rules about them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.work import outbox
from engine.storage.tables.releases import documents, machines, releases, revisions

_CHUNK = 200


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document: whose it is, where it stands there, and its text. ``release`` is the one that last changed it.

    Without a ``text`` it is one that a change takes away.
    """

    kind: str
    name: str
    owner: str
    text: str | None
    place: str = ""
    line: int = 1
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    release: int = 0

    @property
    def title(self) -> str:
        """Kind/name."""
        return f"{self.kind}/{self.name}"

    @property
    def id(self) -> str:
        """The key of its rows."""
        return hashlib.sha256(self.title.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def hash(self) -> str:
        """The hash of its text, of nothing where it was taken away."""
        return "" if self.text is None else hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a release: a user of the console, or the program itself (0)."""

    id: int = 0
    name: str = "gatewright"


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its number and that of the one before, when, by whom, from what, why, and how many changes."""

    number: int
    content: str
    parent: int
    created_at: int
    user_id: int
    username: str
    source: str
    message: str
    changes: int


def ready(db: Database) -> bool:
    """Whether the tables are there; a first start makes them while other processes begin."""
    return releases.name in db.columns and machines.name in db.columns


def head(db: Database) -> int:
    """The number of the newest release; 0 while there is none. PERF: one look at a key."""
    if not ready(db):
        return 0
    query = db.prepared.get("release_head")
    if query is None:
        query = db.prepared["release_head"] = db.query(select(func.max(releases.c.number)))
    row = query.one()
    return int(row[0] or 0) if row else 0


def unmoved(db: Database, base: int) -> None:
    """A ``Conflict`` where a release came after ``base``."""
    if (newest := head(db)) != base:
        raise _overtaken(base, newest)


def listed(db: Database) -> tuple[int, list[StoredDocument]]:
    """The newest release and all of its documents, by kind and name, read in one piece."""
    while True:
        number = head(db)
        rows = crud.listed(db, documents, (), [documents.c.kind, documents.c.name])
        if head(db) == number:
            return number, sorted(map(_document, rows), key=lambda document: (document.kind, document.name))


def one(db: Database, kind: str, name: str) -> StoredDocument:
    """A document of the newest release."""
    key = StoredDocument(kind, name, "", None).id
    row = crud.one(db, documents, documents.c.id == key)
    if row is None:
        raise NotFound(f"the database has no document {kind}/{name}")
    return _document(row)


def at(db: Database, number: int) -> list[StoredDocument]:
    """The documents as release ``number`` had them."""
    if number:
        release(db, number)
    last = (
        select(revisions.c.document_id, func.max(revisions.c.release_number).label("last"))
        .where(revisions.c.release_number <= number)
        .group_by(revisions.c.document_id)
        .subquery()
    )
    chosen = select(*revisions.c).join(
        last, (revisions.c.document_id == last.c.document_id) & (revisions.c.release_number == last.c.last)
    )
    with db.read() as connection:
        rows = connection.execute(chosen).mappings().all()
    there = [_document(row) for row in rows if row["text"] is not None]
    return sorted(there, key=lambda document: (document.kind, document.name))


def release(db: Database, number: int) -> Release:
    """One release."""
    row = crud.one(db, releases, releases.c.number == number)
    if row is None:
        raise NotFound(f"there is no release {number}; the newest is {head(db)}")
    return _release(row)


def newest(db: Database, *, offset: int = 0, limit: int = 50) -> list[Release]:
    """Releases, the newest first."""
    rows = crud.listed(db, releases, (), [releases.c.number.desc()], offset=offset, limit=limit)
    return [_release(row) for row in rows]


def last_source(db: Database, username: str) -> str:
    """What the newest release of an author came from."""
    rows = crud.listed(db, releases, [releases.c.username == username], [releases.c.number.desc()], limit=1)
    return str(rows[0]["source"] or "") if rows else ""


def of_release(db: Database, number: int) -> list[StoredDocument]:
    """What a release changed."""
    rows = crud.listed(db, revisions, [revisions.c.release_number == number], [revisions.c.kind, revisions.c.name])
    return [_document(row) for row in rows]


def history(db: Database, kind: str, name: str, *, limit: int = 100) -> list[tuple[Release, StoredDocument]]:
    """The revisions of a document, the newest first, each with the release that brought it."""
    key = StoredDocument(kind, name, "", None).id
    chosen = (
        select(*revisions.c, *(column.label(f"of_release_{column.name}") for column in releases.c))
        .join(releases, releases.c.number == revisions.c.release_number)
        .where(revisions.c.document_id == key)
        .order_by(revisions.c.release_number.desc())
        .limit(limit)
    )
    if revisions.name not in db.columns:
        return []
    with db.read() as connection:
        rows = connection.execute(chosen).mappings().all()
    return [(_release({n.name: row[f"of_release_{n.name}"] for n in releases.c}), _document(row)) for row in rows]


def publish(
    db: Database,
    base: int,
    changes: Sequence[StoredDocument],
    author: Author,
    *,
    message: str = "",
    source: str = "",
    also: Callable[[Connection, int], None] = lambda connection, number: None,
) -> int:
    """Make a release of changes on ``base``; gives its number. One transaction: whoever reads sees all of it or none.

    ``also`` does in it what goes with the release. A ``Conflict`` where another release came first; then nothing has
    changed.
    """

    def work(connection: Connection) -> int:
        newest = int(connection.execute(select(func.max(releases.c.number))).scalar() or 0)
        if newest != base:
            raise _overtaken(base, newest)
        hashes = {row[0]: row[1] for row in connection.execute(select(documents.c.id, documents.c.hash))}
        number = newest + 1
        for change in changes:
            hashes.pop(change.id, None)
            if change.text is not None:
                hashes[change.id] = change.hash
        row = {
            "number": number,
            "content": content(hashes),
            "parent": newest,
            "created_at": int(time.time()),
            "user_id": author.id,
            "username": author.name,
            "source": source[:191],
            "message": message[:4000],
            "changes": len(changes),
        }
        try:
            crud.add(db, connection, releases, row)
        except IntegrityError:
            raise _overtaken(base, number) from None
        _store(connection, changes, number, author)
        also(connection, number)
        facts = {"release": number, "by": author.name, "source": source, "message": message, "changes": len(changes)}
        outbox.happened(db, connection, "release.changed", facts)
        return number

    return db.write(work)


def _store(connection: Connection, changes: Sequence[StoredDocument], number: int, author: Author) -> None:
    """Write the revisions, and bring the rows of documents to them."""
    rows = [_row(change, number) for change in changes]
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        ids = [row["document_id"] for row in part]
        connection.execute(revisions.insert(), part)
        connection.execute(documents.delete().where(documents.c.id.in_(ids)))
        who = {"changed_at": int(time.time()), "user_id": author.id, "username": author.name}
        fresh = [
            {"id": row["document_id"], **{name: value for name, value in row.items() if name != "document_id"}, **who}
            for row in part
            if row["text"] is not None
        ]
        if fresh:
            connection.execute(documents.insert(), fresh)


def content(hashes: Mapping[str, str]) -> str:
    """The hash over a whole set: of each document's key and text."""
    lines = "".join(f"{key} {value}\n" for key, value in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def content_of(set_: Iterable[StoredDocument]) -> str:
    """The hash over documents."""
    return content({document.id: document.hash for document in set_})


def _overtaken(base: int, newest: int) -> Conflict:
    return Conflict(
        f"these changes were made on release {base}, and release {newest} has come since; nothing was changed:"
        " look at what it brought, and bring your changes onto it"
    )


def _row(change: StoredDocument, number: int) -> dict[str, Any]:
    return {
        "document_id": change.id,
        "release_number": number,
        "kind": change.kind,
        "name": change.name,
        "owner": change.owner,
        "place": change.place,
        "line": change.line,
        "text": change.text,
        "hash": change.hash,
        "labels": json.dumps(dict(change.labels)),
    }


def _document(row: Any) -> StoredDocument:
    return StoredDocument(
        row["kind"],
        row["name"],
        row["owner"],
        row["text"],
        row["place"] or "",
        row["line"],
        json.loads(row["labels"] or "{}"),
        row["release_number"],
    )


def _release(row: Any) -> Release:
    texts = {name: row[name] or "" for name in ("content", "username", "source", "message")}
    numbers = {name: int(row[name] or 0) for name in ("number", "parent", "created_at", "user_id", "changes")}
    values: dict[str, Any] = {**texts, **numbers}
    return Release(**values)
