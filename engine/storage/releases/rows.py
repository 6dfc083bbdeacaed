"""Revisions of rows that price or route: channels and options, written in the transaction that changes them.

Their numbers go up through both, so that one number names a state of all of them. Of secrets stands the beginning of a
hash: that one was changed can be seen, and not what it is. Knows no rules.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from engine.errors import NotFound
from engine.storage.database import Database
from engine.storage.releases.documents import Author
from engine.storage.rows import crud
from engine.storage.tables.releases import row_revisions
from engine.storage.vault import CHANNEL_KEY, SealedError

CHANNEL, OPTION = "channel", "option"
HIDDEN = "sha256:"
"""Begins what stands in place of a secret."""
SECRETS = ("key", "header_override")
_UNTOLD = {
    *("id", "created_time", "test_time", "response_time", "balance", "balance_updated_time"),
    *("used_quota", "other_info", "channel_info"),
}
"""Columns of channels that the program writes by itself, and by which nothing is priced or routed."""


@dataclass(frozen=True, slots=True)
class RowRevision:
    """A change of a row. ``before`` and ``after`` are texts, nothing where there was no row; ``title`` its name."""

    id: int
    created_at: int
    user_id: int
    username: str
    kind: str
    name: str
    title: str
    before: str | None
    after: str | None


def told(db: Database, row: Mapping[str, Any] | None) -> str | None:
    """A channel as its revisions tell it: JSON, a member a line, in the order of names."""
    if row is None:
        return None
    members: dict[str, Any] = {}
    for name in sorted(row):
        value = row[name]
        if name in _UNTOLD or value is None or value == "":
            continue
        members[name] = hidden(_opened(db, value) if name == "key" else value) if name in SECRETS else _plain(value)
    return json.dumps(members, ensure_ascii=False, indent=0, sort_keys=True)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | dict | list) else str(value)


def _opened(db: Database, value: Any) -> str:
    try:
        return db.vault.open(str(value), CHANNEL_KEY)
    except SealedError:
        return str(value)


def hidden(value: Any) -> str:
    """What stands in place of a secret."""
    return HIDDEN + hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def channel(
    db: Database, connection: Connection, which: int, before: str | None, after: Mapping[str, Any] | None, by: Author
) -> None:
    """Note that a channel is another than it was (``before``, as ``told``), in the transaction that made it so."""
    now = told(db, after)
    title = str((after or json.loads(before or "{}")).get("name") or "")
    record(db, connection, CHANNEL, str(which), title, before, now, by)


def by_itself(db: Database, connection: Connection, row: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Note that the program changed a channel, as when it was switched off for what it failed by."""
    channel(db, connection, int(row["id"]), told(db, row), {**row, **changes}, Author())


def record(
    db: Database,
    connection: Connection,
    kind: str,
    name: str,
    title: str,
    before: str | None,
    after: str | None,
    by: Author,
) -> None:
    """Note a change, unless there is none."""
    if before == after or row_revisions.name not in db.columns:
        return
    row = {
        "created_at": int(time.time()),
        "user_id": by.id,
        "username": by.name[:191],
        "kind": kind,
        "name": name[:191],
        "title": title[:191],
        "before": before,
        "after": after,
    }
    crud.add(db, connection, row_revisions, row)


def newest(db: Database) -> int:
    """The number of the newest revision; 0 while there is none. PERF: one look at a key."""
    if row_revisions.name not in db.columns:
        return 0
    with db.read() as connection:
        return int(connection.execute(select(func.max(row_revisions.c.id))).scalar() or 0)


def one(db: Database, number: int) -> RowRevision:
    """A revision."""
    row = crud.one(db, row_revisions, row_revisions.c.id == number)
    if row is None:
        raise NotFound(f"there is no revision {number} of rows; the newest is {newest(db)}")
    return RowRevision(**row)


def of(db: Database, kind: str, name: str, *, limit: int = 100) -> list[RowRevision]:
    """The revisions of a row, the newest first."""
    where = [row_revisions.c.kind == kind, row_revisions.c.name == name]
    return [RowRevision(**row) for row in _listed(db, where, limit)]


def between(db: Database, older: int, newer: int, *, limit: int = 5000) -> list[RowRevision]:
    """Revisions after one and up to another, the newest first."""
    return [RowRevision(**row) for row in _listed(db, [row_revisions.c.id > older, row_revisions.c.id <= newer], limit)]


def _listed(db: Database, where: Sequence[Any], limit: int) -> list[crud.Row]:
    return crud.listed(db, row_revisions, where, [row_revisions.c.id.desc()], limit=limit)
