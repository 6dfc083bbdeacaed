"""Quota for coming back, once a day in the zone of the database."""

from __future__ import annotations

import datetime
import random
import re
import time
from typing import Any

from sqlalchemy.exc import IntegrityError

from engine.accounts.credit import give_user
from engine.errors import Conflict
from engine.storage.database import Database
from engine.storage.faults import StatementError
from engine.storage.rows import visits
from engine.texts import refusal


def _today(db: Database) -> str:
    return datetime.datetime.now(db.zone).strftime("%Y-%m-%d")


def stats(db: Database, user: int, month: str) -> dict[str, Any]:
    """What a user was given in a month (``YYYY-MM``; this one where it is none), and in all."""
    today = _today(db)
    if not month:
        month = today[:7]
    rows = visits.of(db, user, month) if re.fullmatch(r"\d{4}-\d{2}", month) else []
    count, quota = visits.sums(db, user)
    records = [{"checkin_date": row["checkin_date"], "quota_awarded": row["quota_awarded"]} for row in rows]
    return {
        "total_quota": quota,
        "total_checkins": count,
        "checkin_count": len(records),
        "checked_in_today": visits.on(db, user, today),
        "records": records,
    }


def check_in(db: Database, user: int, least: int, most: int) -> tuple[str, int]:
    """Give a user its quota of the day; the day and the quota."""
    day, quota = _today(db), random.randint(least, most)  # noqa: S311 - a gift, no secret

    def work(connection: Any) -> None:
        visits.add(db, connection, user, day, quota, int(time.time()))
        give_user(connection, user, quota, "checkin", day)

    if visits.on(db, user, day):
        raise refusal(Conflict, "checkin.again")
    try:
        db.write(work)
    except StatementError as error:
        if isinstance(error.__cause__, IntegrityError):
            raise refusal(Conflict, "checkin.again") from None
        raise
    return day, quota
