"""What became of balances that operators declared: a mark for each channel whose account is low or has nothing left.

Channels are named as other workers know them: the number of a row, or a slash and the name of a document's.
"""

from __future__ import annotations

import time
from typing import Any

from engine.storage.database import Database
from engine.storage.rows import trail
from engine.storage.rows.work import marks, outbox
from engine.storage.rows.work.marks import Mark

WELL, LOW, EMPTY, ASIDE = range(4)
"""More is left than is warned of; less; nothing; nothing, and not asked for that."""
_ABOUT = "paid:"


def levels(db: Database) -> dict[str, int]:
    """The level of each channel that is not well."""
    return {mark: level.count for mark, level in marks.below(db, _ABOUT).items()}


def documents(db: Database) -> frozenset[str]:
    """Names of documents' channels that are not asked as nothing is left."""
    return frozenset(mark[1:] for mark, level in levels(db).items() if level == ASIDE and mark.startswith("/"))


def put(db: Database, mark: str, level: int, event: str = "", values: dict[str, Any] | None = None) -> None:
    """Note a level, with the event that tells of it; workers are told where a document's channel comes or goes."""

    def work(connection: Any) -> None:
        before = marks.one(connection, _ABOUT + mark)
        if level == WELL:
            marks.drop(connection, [_ABOUT + mark])
        else:
            marks.put(connection, _ABOUT + mark, Mark(level, int(time.time())))
        if event:
            outbox.happened(db, connection, event, values or {})
        if mark.startswith("/") and ASIDE in (level, before.count if before is not None else WELL):
            trail.changed(db, connection)

    db.write(work)
