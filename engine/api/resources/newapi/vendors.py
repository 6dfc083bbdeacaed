"""Vendors of models, for the console's catalogue."""

from __future__ import annotations

from typing import Any

from engine.api.route import ADMIN, Answer, Ask, Route
from engine.catalogue import shelf
from engine.storage.rows import shelf as rows
from engine.storage.rows.crud import Row

_KIND = "vendors"


def shown(row: Row) -> dict[str, Any]:
    """A vendor; empty texts are left out."""
    texts = {name: row[name] for name in ("description", "icon") if row.get(name)}
    numbers = {name: row.get(name) or 0 for name in ("status", "created_time", "updated_time")}
    return {"id": row["id"], "name": row["name"], **texts, **numbers}


def listed(ask: Ask) -> Answer:
    """A page of vendors, by a word where one is given."""
    page = ask.page()
    where = rows.matching(_KIND, ask.query.get("keyword", "")[:191])
    items, total = rows.page(ask.worker.db, _KIND, where, page.offset, page.size)
    return Answer(page.of([shown(row) for row in items], total))


def one(ask: Ask) -> Answer:
    """A vendor."""
    return Answer(shown(shelf.get(ask.worker.db, _KIND, ask.number())))


def create(ask: Ask) -> Answer:
    """Make a vendor."""
    return Answer(shown(shelf.create(ask.worker.db, _KIND, ask.body)))


def change(ask: Ask) -> Answer:
    """Change what is given of a vendor."""
    return Answer(shown(shelf.change(ask.worker.db, _KIND, ask.body)))


def delete(ask: Ask) -> Answer:
    """Delete a vendor."""
    shelf.delete(ask.worker.db, _KIND, ask.number())
    return Answer(shown=True)


_BODY = {"id": int, "name": str, "description": str, "icon": str, "status": int}
_JSON = (200, "invalid.json")
ROUTES = (
    Route("GET", "/api/vendors/", ADMIN, listed, right="catalogue.read"),
    Route("GET", "/api/vendors/search", ADMIN, listed, right="catalogue.read"),
    Route("GET", "/api/vendors/:id", ADMIN, one, right="catalogue.read"),
    Route("POST", "/api/vendors/", ADMIN, create, _BODY, broken=_JSON, right="catalogue.write"),
    Route("PUT", "/api/vendors/", ADMIN, change, _BODY, broken=_JSON, right="catalogue.write"),
    Route("DELETE", "/api/vendors/:id", ADMIN, delete, right="catalogue.write"),
)
