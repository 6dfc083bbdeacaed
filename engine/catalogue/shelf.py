"""Models, vendors and prefilled groups: made and changed by administrators. Only what is sent changes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import shelf
from engine.storage.rows.crud import Row
from engine.texts import refusal

_TEXTS = {
    "models": {"model_name": 128, "description": 60_000, "icon": 128, "tags": 255, "endpoints": 60_000},
    "vendors": {"name": 128, "description": 60_000, "icon": 128},
    "prefill": {"name": 64, "type": 32, "description": 255},
}
_NUMBERS = {"models": ("vendor_id", "status", "sync_official", "name_rule"), "vendors": ("status",), "prefill": ()}
_FRESH: dict[str, dict[str, Any]] = {
    "models": {"status": 1, "sync_official": 1, "name_rule": 0},
    "vendors": {"status": 1},
    "prefill": {},
}


def get(db: Database, kind: str, which: int) -> Row:
    """A row by id."""
    row = shelf.one(db, kind, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def _values(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, most in _TEXTS[kind].items():
        if body.get(name) is not None:
            if len(body[name]) > most:
                raise refusal(Invalid, "invalid.field", field=name, what=f"{most} characters at most")
            values[name] = body[name]
    values |= {name: body[name] for name in _NUMBERS[kind] if body.get(name) is not None}
    if values.get("name_rule", 0) not in (0, 1, 2, 3):
        raise refusal(Invalid, "invalid.field", field="name_rule", what="0 to 3")
    if kind == "prefill" and body.get("items") is not None:
        if not isinstance(body["items"], list | dict):
            raise refusal(Invalid, "invalid.type", field="items", what="a list or an object")
        values["items"] = body["items"]
    return values


def create(db: Database, kind: str, body: Mapping[str, Any]) -> Row:
    """Make a row; names are unique."""
    values = _values(kind, body)
    name = values.get(shelf.NAMES[kind], "").strip()
    if not name or (kind == "prefill" and not values.get("type")):
        raise refusal(Invalid, "model.empty" if kind == "models" else "name.empty", field=shelf.NAMES[kind])
    if shelf.named(db, kind, name) is not None:
        raise refusal(Conflict, "name.taken")
    now = int(time.time())
    row = {**_FRESH[kind], **values, shelf.NAMES[kind]: name, "created_time": now, "updated_time": now}
    return get(db, kind, shelf.add(db, kind, row))


def change(db: Database, kind: str, body: Mapping[str, Any], *, status_only: bool = False) -> Row:
    """Change what is given of a row."""
    which = body.get("id") or 0
    if not which:
        raise refusal(Invalid, "id.missing", field="id")
    row = get(db, kind, which)
    values = _values(kind, body)
    if status_only:
        values = {name: value for name, value in values.items() if name == "status"}
    name = values.get(shelf.NAMES[kind])
    if name is not None and not name.strip():
        raise refusal(Invalid, "name.empty", field=shelf.NAMES[kind])
    if name is not None and name != row[shelf.NAMES[kind]] and shelf.named(db, kind, name) is not None:
        raise refusal(Conflict, "name.taken")
    shelf.change(db, kind, which, {**values, "updated_time": int(time.time())})
    return get(db, kind, which)


def delete(db: Database, kind: str, which: int) -> None:
    """Delete a row."""
    get(db, kind, which)
    shelf.bury(db, kind, which)


def matches(row: Row, name: str) -> bool:
    """Whether an entry of the catalogue means a model: by the whole name, its begin, a part of it or its end."""
    text, rule = row.get("model_name") or "", row.get("name_rule") or 0
    return (name == text, name.startswith(text), text in name, name.endswith(text))[rule] if text else False
