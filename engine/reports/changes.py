"""What was changed, by whom: the trail of the management API, and the last change of each option."""

from __future__ import annotations

from typing import Any

import orjson

from engine.storage.database import Database
from engine.storage.rows import options, trail


def listed(db: Database, before: int, limit: int, *, word: str = "") -> list[dict[str, Any]]:
    """Rows of the trail older than a row's id (0: the newest), their details as data; ``word`` in action or name."""
    rows = trail.page(db, before, limit, word)
    return [{**row, "details": orjson.loads(row["details"]) if row["details"] else {}} for row in rows]


def of_options(db: Database) -> dict[str, tuple[int, int]]:
    """When each option was changed last, and by which user."""
    return options.last_changes(db)
