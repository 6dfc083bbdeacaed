"""What is asked of rows and secrets, answered on a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from engine.catalogue import revisions
from engine.storage.database import Database
from engine.storage.releases import rows as stored
from engine.storage.releases import secrets
from engine.storage.rows import options

KINDS = (stored.CHANNEL, stored.OPTION)


def _listed(db: Database, *, limit: int, sort: str) -> list[dict[str, Any]]:
    return [asdict(one) for one in stored.between(db, 0, 2**62, limit=limit)]


def _diff(db: Database, *, older: int, id: int) -> list[dict[str, Any]]:  # noqa: A002 - the name in the route
    return revisions.diff(db, older, id)


def _undo(db: Database, *, id: int) -> dict[str, Any]:  # noqa: A002 - the name in the route
    return revisions.undo(db, id, user=0, values=options.load(db))


def _secrets(db: Database) -> list[dict[str, Any]]:
    facts = {"encrypted": db.vault.sealing}
    return [{"name": name, "changed_at": changed, **facts} for name, changed in secrets.listed(db)]


def _put_secret(db: Database, *, name: str, value: str) -> dict[str, Any]:
    secrets.put(db, name, value)
    return next(one for one in _secrets(db) if one["name"] == name)


def _drop_secret(db: Database, *, name: str) -> None:
    secrets.drop(db, name)


HERE: Mapping[str, Callable[..., Any]] = {
    "rows": _listed,
    "row_diff": _diff,
    "undo_row": _undo,
    "drop_row": revisions.drop,
    "row_history": revisions.history,
    "row_blame": revisions.blame,
    "secrets": _secrets,
    "put_secret": _put_secret,
    "drop_secret": _drop_secret,
}
"""What is asked of rows and secrets, on a database."""
