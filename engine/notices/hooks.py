"""Webhooks of operators: what one may be, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.errors import Conflict, Invalid, NotFound
from engine.notices.choice import is_url
from engine.notices.ground import Ground
from engine.outbox import posting
from engine.storage.database import Database
from engine.storage.rows.crud import Guard, Row
from engine.storage.rows.work import webhooks as rows
from engine.texts import refusal

ALL = "*"


def find(db: Database, which: int) -> Row:
    """One of them; raises ``NotFound``."""
    row = rows.one(db, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def create(db: Database, ground: Ground, values: Mapping[str, Any], now: int) -> tuple[Row, str]:
    """Make one; its row, and the secret that it is signed with."""
    if len(rows.listed(db)) >= rows.MOST:
        raise refusal(Conflict, "webhook.many", most=rows.MOST)
    whole = {"secret": posting.fresh_secret(), "enabled": True, "events": ALL, **_checked(ground, values)}
    which = rows.add(db, {**whole, "enabled": int(whole["enabled"]), "created_at": now})
    return find(db, which), str(whole["secret"])


def change(db: Database, ground: Ground, which: int, values: Mapping[str, Any], guard: Guard) -> Row:
    """Change what is given."""
    stored = _checked(ground, values)
    if "enabled" in stored:
        stored["enabled"] = int(stored["enabled"])
    rows.change(db, which, stored, guard)
    return find(db, which)


def _checked(ground: Ground, values: Mapping[str, Any]) -> dict[str, Any]:
    if "url" in values and not is_url(values["url"]):
        raise refusal(Invalid, "invalid.field", field="url", what="an address that begins with http:// or https://")
    known = known_events(ground)
    for name in str(values.get("events", ALL)).split():
        if name not in known:
            raise refusal(Invalid, "invalid.field", field="events", what=" or ".join(known))
    return dict(values)


def known_events(ground: Ground) -> list[str]:
    """What a webhook can listen to."""
    return [ALL, *sorted(_without_test(ground.events))]


def _without_test(names: Iterable[str]) -> list[str]:
    return [name for name in names if name != "notice.test"]
