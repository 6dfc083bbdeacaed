"""The catalogue of models: what the console says of them."""

from __future__ import annotations

from typing import Any

from engine.api.route import ADMIN, Answer, Ask, Route
from engine.catalogue import pricing, shelf
from engine.storage.rows import shelf as rows
from engine.storage.rows.crud import Row

_KIND = "models"
_STATES = {"enabled": 1, "1": 1, "disabled": 0, "0": 0}
_TEXTS = ("description", "icon", "tags", "endpoints")
_NUMBERS = ("status", "sync_official", "created_time", "updated_time", "name_rule")


def _shown(row: Row) -> dict[str, Any]:
    texts = {name: row[name] for name in (*_TEXTS, "vendor_id") if row.get(name)}
    return {
        "id": row["id"],
        "model_name": row["model_name"],
        **texts,
        **{name: row.get(name) or 0 for name in _NUMBERS},
    }


def listed(ask: Ask) -> Answer:
    """A page of entries, with what they mean at present."""
    counts = rows.vendor_counts(ask.worker.db)
    return _page(ask, _where(ask), vendor_counts=counts)


def search(ask: Ask) -> Answer:
    """Entries by a word, by vendor, by state."""
    vendor = ask.query.get("vendor", "")[:128]
    where = [*_where(ask), *rows.matching(_KIND, ask.query.get("keyword", "")[:191])]
    if vendor:
        number = int(vendor) if vendor.isascii() and vendor.isdigit() and len(vendor) < 18 else 0
        found, _ = rows.page(ask.worker.db, "vendors", rows.matching("vendors", vendor), 0, 100)
        where += rows.of_vendors([row["id"] for row in found] + ([number] if number else []))
    return _page(ask, where)


def _where(ask: Ask) -> list[Any]:
    where: list[Any] = []
    status = _STATES.get(ask.query.get("status", ""))
    if status is not None:
        where += rows.of_status(status)
    if ask.query.get("sync_official") in ("yes", "no"):
        where += rows.of_sync(ask.query["sync_official"] == "yes")
    return where


def _page(ask: Ask, where: list[Any], **more: Any) -> Answer:
    page, book = ask.page(), ask.worker.snapshot.book
    items, total = rows.page(ask.worker.db, _KIND, where, page.offset, page.size)
    offer = pricing.Offer(ask.worker.db)
    return Answer(page.of([{**_shown(row), **pricing.bound(offer, book, row)} for row in items], total, **more))


def one(ask: Ask) -> Answer:
    """An entry."""
    row = shelf.get(ask.worker.db, _KIND, ask.number())
    offer = pricing.Offer(ask.worker.db)
    return Answer({**_shown(row), **pricing.bound(offer, ask.worker.snapshot.book, row)})


def create(ask: Ask) -> Answer:
    """Make an entry."""
    return Answer(_shown(shelf.create(ask.worker.db, _KIND, ask.body)))


def change(ask: Ask) -> Answer:
    """Change what is given of an entry."""
    only = ask.query.get("status_only") == "true"
    return Answer(_shown(shelf.change(ask.worker.db, _KIND, ask.body, status_only=only)))


def delete(ask: Ask) -> Answer:
    """Delete an entry."""
    shelf.delete(ask.worker.db, _KIND, ask.number())
    return Answer(shown=True)


def missing(ask: Ask) -> Answer:
    """Names in use without an entry."""
    return Answer(pricing.missing(ask.worker.db), shown=True)


_BODY: dict[str, Any] = {
    **dict.fromkeys(("model_name", *_TEXTS), str),
    **dict.fromkeys(("id", "vendor_id", "status", "sync_official", "name_rule"), int),
}
_JSON = (200, "invalid.json")
ROUTES = (
    Route("GET", "/api/models/", ADMIN, listed, right="catalogue.read"),
    Route("GET", "/api/models/search", ADMIN, search, right="catalogue.read"),
    Route("GET", "/api/models/missing", ADMIN, missing, right="catalogue.read"),
    Route("GET", "/api/models/:id", ADMIN, one, right="catalogue.read"),
    Route("POST", "/api/models/", ADMIN, create, _BODY, broken=_JSON, right="catalogue.write"),
    Route("PUT", "/api/models/", ADMIN, change, _BODY, broken=_JSON, right="catalogue.write"),
    Route("DELETE", "/api/models/:id", ADMIN, delete, right="catalogue.write"),
)
