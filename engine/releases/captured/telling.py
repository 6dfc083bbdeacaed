"""What lists and pages tell of kept exchanges and of the keys that are watched, as plain data. Knows no compiler."""

from __future__ import annotations

import time
from typing import Any

from engine.errors import Invalid
from engine.storage.database import Database
from engine.storage.releases import captures
from engine.storage.releases.captures import Captured, CaptureKey
from engine.storage.releases.documents import Author

_HOUR = 3600
_MOST_HOURS, _MOST_DAYS = 24 * 30, 366
MOST_LISTED = 200


def listed(db: Database, *, limit: int = 50, before: int = 0, **equal: Any) -> list[dict[str, Any]]:
    """Exchanges, the newest first, without what was said; ``equal``: by user_id, token_id, model, format, rule."""
    return captures.listed(db, limit=min(limit, MOST_LISTED), before=before, **equal)


def one(db: Database, which: str) -> dict[str, Any]:
    """An exchange with what was said: ``request``, ``response``, ``upstream``."""
    return _told(captures.one(db, which))


def _told(captured: Captured) -> dict[str, Any]:
    return {**captured.facts, **captured.exchange}


def keys(db: Database) -> list[dict[str, Any]]:
    """The keys that are watched: {token_id, name, until, share, redacted, days, created_at, user_id, username}."""
    return [_key(key) for key in captures.watched(db)]


def watch(
    db: Database,
    token_id: int,
    author: Author,
    *,
    hours: float = 1,
    share: float = 1,
    redacted: bool = False,
    days: float = 7,
) -> dict[str, Any]:
    """Keep a key's exchanges for so many hours, each for so many days."""
    if not 0 < hours <= _MOST_HOURS:
        raise Invalid("hours", f"{hours:g} is no time that a key can be watched", f"up to {_MOST_HOURS} hours")
    if not 0 < share <= 1:
        raise Invalid("share", f"{share:g} is no part of calls", "more than 0, 1 at most")
    if not 0 < days <= _MOST_DAYS:
        raise Invalid("days", f"{days:g} is no time to keep an exchange", f"up to {_MOST_DAYS} days")
    now = int(time.time())
    key = CaptureKey(token_id, int(now + hours * _HOUR), share, redacted, days, now, author)
    captures.watch(db, key)
    return next(row for row in keys(db) if row["token_id"] == token_id)


def _key(key: CaptureKey) -> dict[str, Any]:
    return {
        "token_id": key.token_id,
        "name": key.name,
        "until": key.until,
        "share": key.share,
        "redacted": key.redacted,
        "days": key.days,
        "created_at": key.created_at,
        "user_id": key.author.id,
        "username": key.author.name,
    }
