"""Leases of named work: taken, kept and given back by compare-and-set, by the database's own clock.

So processes whose clocks differ never hold one lease together. Knows nothing of what the work is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, insert, literal_column, or_, select, update
from sqlalchemy.exc import IntegrityError

from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows.crud import Row
from engine.storage.tables.own import jobs

_NOW = {
    "sqlite": "CAST(strftime('%s', 'now') AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)",
    "mysql": "UNIX_TIMESTAMP()",
}
_RESULT = 2_000


def _now(db: Database) -> ColumnElement[int]:
    return literal_column(_NOW[db.kind], Integer)


def listed(db: Database) -> tuple[dict[str, Row], int]:
    """All work by its name, and what time it is there."""
    with db.read() as connection:
        now = int(connection.execute(select(_now(db))).scalar_one())
        rows = connection.execute(select(jobs)).mappings()
        return {row["name"]: {str(key): value for key, value in row.items()} for row in rows}, now


def take(db: Database, name: str, holder: str, seconds: int) -> int | None:
    """The fence of a new lease, if the work is due and nobody else has it."""
    now = _now(db)
    free = (jobs.c.name == name, or_(jobs.c.until <= now, jobs.c.holder == holder), jobs.c.next_at <= now)
    lease: dict[str, Any] = {"holder": holder, "until": now + seconds, "fence": jobs.c.fence + 1}

    def work(connection: Any) -> int | None:
        if connection.execute(update(jobs).where(*free).values(lease)).rowcount:
            return int(connection.execute(select(jobs.c.fence).where(jobs.c.name == name)).scalar_one())
        if connection.execute(select(jobs.c.fence).where(jobs.c.name == name)).first() is not None:
            return None
        fresh = {"name": name, "holder": holder, "until": now + seconds, "fence": 1}
        connection.execute(insert(jobs).values({**fresh, "next_at": 0, "last_at": 0, "result": ""}))
        return 1

    try:
        return db.write(work)
    except StatementError as error:
        if isinstance(error.__cause__, IntegrityError):  # another process was first
            return None
        raise


def keep(db: Database, name: str, holder: str, fence: int, seconds: int) -> bool:
    """Hold a lease for longer; false when it is lost."""
    mine = (jobs.c.name == name, jobs.c.holder == holder, jobs.c.fence == fence, jobs.c.until > _now(db))
    changed = update(jobs).where(*mine).values(until=_now(db) + seconds)
    return db.write(lambda connection: connection.execute(changed).rowcount) == 1


def give_back(db: Database, name: str, holder: str, fence: int, wait: int, result: str) -> bool:
    """End a lease: what came of the work, and in how many seconds it is due again."""
    now = _now(db)
    mine = (jobs.c.name == name, jobs.c.holder == holder, jobs.c.fence == fence)
    values = {"until": 0, "next_at": now + wait, "last_at": now, "result": result[:_RESULT]}
    return db.write(lambda connection: connection.execute(update(jobs).where(*mine).values(values)).rowcount) == 1
