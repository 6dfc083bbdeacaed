"""Groups of models, tags or endpoints that forms are filled with."""

from __future__ import annotations

from typing import Any

from engine.api.route import ADMIN, Answer, Ask, Route
from engine.catalogue import shelf
from engine.storage.rows import shelf as rows
from engine.storage.rows.crud import Row

_KIND = "prefill"


def _shown(row: Row) -> dict[str, Any]:
    numbers = {name: row.get(name) or 0 for name in ("created_time", "updated_time")}
    description = {"description": row["description"]} if row.get("description") else {}
    return {
        "id": row["id"],
        "name": row["name"],
        "type": row["type"],
        "items": row.get("items"),
        **description,
        **numbers,
    }


def listed(ask: Ask) -> Answer:
    """All groups, or those of a type."""
    kind = ask.query.get("type", "")
    items, _ = rows.page(ask.worker.db, _KIND, rows.of_type(kind[:32]) if kind else [], 0, 1000)
    return Answer([_shown(row) for row in items], shown=True)


def create(ask: Ask) -> Answer:
    """Make a group."""
    return Answer(_shown(shelf.create(ask.worker.db, _KIND, ask.body)))


def change(ask: Ask) -> Answer:
    """Change what is given of a group."""
    return Answer(_shown(shelf.change(ask.worker.db, _KIND, ask.body)))


def delete(ask: Ask) -> Answer:
    """Delete a group."""
    shelf.delete(ask.worker.db, _KIND, ask.number())
    return Answer(shown=True)


_BODY = {"id": int, "name": str, "type": str, "description": str, "items": object}
_JSON = (200, "invalid.json")
ROUTES = (
    Route("GET", "/api/prefill_group/", ADMIN, listed, right="catalogue.read"),
    Route("POST", "/api/prefill_group/", ADMIN, create, _BODY, broken=_JSON, right="catalogue.write"),
    Route("PUT", "/api/prefill_group/", ADMIN, change, _BODY, broken=_JSON, right="catalogue.write"),
    Route("DELETE", "/api/prefill_group/:id", ADMIN, delete, right="catalogue.write"),
)
