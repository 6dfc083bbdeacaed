"""Check-ins as rows."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables.billing import checkins


def of(db: Database, user: int, month: str) -> list[Row]:
    """A user's check-ins of a month, newest first."""
    where = [checkins.c.user_id == user, checkins.c.checkin_date.like(f"{month}-%")]
    return crud.listed(db, checkins, where, [checkins.c.checkin_date.desc()], limit=31)


def on(db: Database, user: int, day: str) -> bool:
    """Whether a user has checked in on a day."""
    return crud.one(db, checkins, checkins.c.user_id == user, checkins.c.checkin_date == day) is not None


def sums(db: Database, user: int) -> tuple[int, int]:
    """How often a user has checked in, and what that gave."""
    if checkins.name not in db.columns:
        return 0, 0
    chosen = select(func.count(), func.coalesce(func.sum(checkins.c.quota_awarded), 0)).where(
        checkins.c.user_id == user
    )
    with db.read() as reader:
        row = reader.execute(chosen).one()
    return int(row[0]), int(row[1])


def add(db: Database, connection: Connection, user: int, day: str, quota: int, now: int) -> None:
    """Note a check-in; a second one of the day is an IntegrityError."""
    crud.add(
        db, connection, checkins, {"user_id": user, "checkin_date": day, "quota_awarded": quota, "created_at": now}
    )
