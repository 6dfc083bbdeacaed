"""Redemption codes: made in numbers, each redeemed once for quota, whoever asks at the same moment.

Codes are 32 hexadecimal digits with status 1 unused, 2 disabled, 3 used, as the family's programs keep them; a code may
expire (0 = never). ``redeem`` gives what was added. Knows no calls and no prices.
"""

from __future__ import annotations

import datetime
import logging
import secrets
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from engine.storage.balance import MOST, give_user
from engine.storage.database import Database, StorageError
from engine.storage.keys import present
from engine.storage.log_rows import LogRow, apply
from engine.storage.tables.billing import redemptions
from engine.storage.tables.core import users

UNUSED, DISABLED, USED = 1, 2, 3
TOP_UP = 1
"""The log type of quota that was added."""
_MOST_CODES = 100
_NAME = 20
_logger = logging.getLogger("gatewright.storage")


class NotRedeemed(StorageError):  # noqa: N818 - says what happened
    """The code gives nothing. To somebody who only has a code, any reason is told in the same words."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code as lists show it."""

    id: int
    key: str
    name: str
    status: int
    quota: int
    created: int
    redeemed: int
    used_by: int
    expires: int


def create(db: Database, name: str, quota: int, *, count: int = 1, expires: int = 0, creator: int = 0) -> list[str]:
    """Make codes worth ``quota`` units each."""
    if not 1 <= len(name) <= _NAME:
        raise StorageError(f"a code's name has 1 to {_NAME} characters")
    if not 1 <= count <= _MOST_CODES:
        raise StorageError(f"{count} codes at once are not made; expected 1 to {_MOST_CODES}")
    if not 0 < quota <= MOST:
        raise StorageError(f"a code can't be worth {quota} units; expected more than 0")
    if expires and expires <= time.time():
        raise StorageError("the codes would have expired already")
    if expires and "expired_time" not in db.columns.get("redemptions", ()):
        raise StorageError("this database's codes can't expire: it was made by an older program; upgrade it first")
    made = [secrets.token_hex(16) for _ in range(count)]
    row = {"user_id": creator, "status": UNUSED, "name": name, "quota": quota, "created_time": int(time.time())}
    row |= {"redeemed_time": 0, "used_user_id": 0, "expired_time": expires}

    def work(connection: Connection) -> int:
        rows = [present(db, redemptions, {**row, "key": key}) for key in made]
        return connection.execute(insert(redemptions), rows).rowcount

    db.write(work)
    return made


def redeem(db: Database, log_db: Database, code: str, user: int) -> int:
    """Give a user what a code is worth, once; ``NotRedeemed`` when it is worth nothing."""

    def work(connection: Connection) -> tuple[int, LogRow]:
        found = _usable(db, connection, code.strip().lower())
        taken = update(redemptions).where(redemptions.c.id == found["id"], redemptions.c.status == UNUSED)
        values = {"status": USED, "redeemed_time": int(time.time()), "used_user_id": user}
        if connection.execute(taken.values(present(db, redemptions, values))).rowcount != 1:
            raise NotRedeemed("the code has just been used")
        quota = int(found["quota"] or 0)
        give_user(connection, user, quota, "redemption", str(found["id"]))
        row = _log_row(connection, user, quota, int(found["id"]))
        if log_db is db:
            apply(connection, db, [row])
        return quota, row

    quota, row = db.write(work)
    if log_db is not db:
        try:
            log_db.write(lambda connection: apply(connection, log_db, [row]))
        except StorageError as error:  # the quota is given; the grant beside it tells of it for good
            _logger.warning("no log row says that user %d redeemed a code: %s", user, error)
    return quota


def _usable(db: Database, connection: Connection, code: str) -> dict[str, Any]:
    found = next((row for row in _rows(db, connection, redemptions.c.key == code)), None)
    if found is None or (found["key"] or "").rstrip() != code:
        raise NotRedeemed("there is no such code")
    if found["status"] != UNUSED:
        raise NotRedeemed("the code was used already" if found["status"] == USED else "the code is disabled")
    if found.get("expired_time") and found["expired_time"] <= time.time():
        raise NotRedeemed("the code has expired")
    if (found["quota"] or 0) <= 0:
        raise NotRedeemed("the code is worth nothing")
    return found


def _rows(db: Database, connection: Connection, *wanted: Any) -> list[dict[str, Any]]:
    there = db.columns.get("redemptions", frozenset())
    columns = [one for one in redemptions.c if one.name in there]
    chosen = select(*columns).where(*wanted).order_by(redemptions.c.id.desc())
    if "deleted_at" in there:
        chosen = chosen.where(redemptions.c.deleted_at.is_(None))
    return [dict(row) for row in connection.execute(chosen).mappings()]


def _log_row(connection: Connection, user: int, quota: int, code: int) -> LogRow:
    name = connection.execute(select(users.c.username).where(users.c.id == user)).scalar()
    content = f"redeemed code {code}: {quota} quota units"
    return LogRow(user_id=user, username=name or "", type=TOP_UP, content=content, quota=quota)


def listed(db: Database, status: int | None = None) -> list[Code]:
    """The codes that are not deleted, newest first."""
    wanted = () if status is None else (redemptions.c.status == status,)
    with db.read() as connection:
        return [_code(row) for row in _rows(db, connection, *wanted)]


def _code(row: dict[str, Any]) -> Code:
    return Code(
        id=row["id"],
        key=(row["key"] or "").rstrip(),
        name=row["name"] or "",
        status=row["status"] or 0,
        quota=row["quota"] or 0,
        created=row["created_time"] or 0,
        redeemed=row["redeemed_time"] or 0,
        used_by=row.get("used_user_id") or 0,
        expires=row.get("expired_time") or 0,
    )


def disable(db: Database, which: int) -> bool:
    """Make an unused code worthless; false when there is no unused one of this id."""
    chosen = update(redemptions).where(redemptions.c.id == which, redemptions.c.status == UNUSED)
    return db.write(lambda connection: connection.execute(chosen.values(status=DISABLED)).rowcount) == 1


def remove(db: Database, which: int) -> bool:
    """Delete a code, used or not; false when there is none."""
    chosen = redemptions.c.id == which
    if "deleted_at" not in db.columns.get("redemptions", ()):
        return db.write(lambda connection: connection.execute(delete(redemptions).where(chosen)).rowcount) == 1
    now = datetime.datetime.now(datetime.UTC)
    gone = update(redemptions).where(chosen, redemptions.c.deleted_at.is_(None)).values(deleted_at=now)
    return db.write(lambda connection: connection.execute(gone).rowcount) == 1
