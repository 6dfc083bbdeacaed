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

from engine.accounts.credit import MOST, give_user
from engine.accounts.keys import present
from engine.errors import Conflict, Invalid
from engine.storage.database import Database, StorageError
from engine.storage.rows.log_rows import LogRow, apply
from engine.storage.tables.billing import redemptions
from engine.storage.tables.core import users

UNUSED, DISABLED, USED = 1, 2, 3
TOP_UP = 1
"""The log type of quota that was added."""
_MOST_CODES = 100
_NAME = 20
_logger = logging.getLogger("gatewright.storage")


class NotRedeemed(Conflict):
    """The code gives nothing. To somebody who only has a code, any reason is told in the same words."""


@dataclass(frozen=True, slots=True)
class RedemptionCode:
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


def create(
    db: Database, name: str, quota: int, *, count: int = 1, expires: int = 0, creator: int = 0, most: int = _MOST_CODES
) -> list[str]:
    """Make codes worth ``quota`` units each."""
    if not 1 <= len(name) <= _NAME:
        raise Invalid("name", f"a code's name has 1 to {_NAME} characters")
    if not 1 <= count <= most:
        raise Invalid("count", f"{count} codes at once are not made", f"expected 1 to {most}")
    if not 0 < quota <= MOST:
        raise Invalid("quota", f"a code can't be worth {quota} units", "expected more than 0")
    if expires and expires <= time.time():
        raise Invalid("expires", "the codes would have expired already")
    if expires and "expired_time" not in db.columns.get("redemptions", ()):
        raise Conflict("this database's codes can't expire: it was made by an older program; upgrade it first")
    codes = [secrets.token_hex(16) for _ in range(count)]
    row = {"user_id": creator, "status": UNUSED, "name": name, "quota": quota, "created_time": int(time.time())}
    row |= {"redeemed_time": 0, "used_user_id": 0, "expired_time": expires}

    def work(connection: Connection) -> int:
        rows = [present(db, redemptions, {**row, "key": key}) for key in codes]
        return connection.execute(insert(redemptions), rows).rowcount

    db.write(work)
    return codes


def redeem(db: Database, log_db: Database, code: str, user: int) -> int:
    """Give a user what a code is worth, once; ``NotRedeemed`` when it is worth nothing."""

    def work(connection: Connection) -> tuple[int, LogRow]:
        code_row = _usable(db, connection, code.strip().lower())
        using = update(redemptions).where(redemptions.c.id == code_row["id"], redemptions.c.status == UNUSED)
        values = {"status": USED, "redeemed_time": int(time.time()), "used_user_id": user}
        if connection.execute(using.values(present(db, redemptions, values))).rowcount != 1:
            raise NotRedeemed("the code has just been used")
        quota = int(code_row["quota"] or 0)
        give_user(connection, user, quota, "redemption", str(code_row["id"]))
        row = _log_row(connection, user, quota, int(code_row["id"]))
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
    code_row = next((row for row in _rows(db, connection, redemptions.c.key == code)), None)
    if code_row is None or (code_row["key"] or "").rstrip() != code:
        raise NotRedeemed("there is no such code")
    if code_row["status"] != UNUSED:
        raise NotRedeemed("the code was used already" if code_row["status"] == USED else "the code is disabled")
    if code_row.get("expired_time") and code_row["expired_time"] <= time.time():
        raise NotRedeemed("the code has expired")
    if (code_row["quota"] or 0) <= 0:
        raise NotRedeemed("the code is worth nothing")
    return code_row


def _rows(db: Database, connection: Connection, *conditions: Any) -> list[dict[str, Any]]:
    present_columns = db.columns.get("redemptions", frozenset())
    columns = [column for column in redemptions.c if column.name in present_columns]
    chosen = select(*columns).where(*conditions).order_by(redemptions.c.id.desc())
    if "deleted_at" in present_columns:
        chosen = chosen.where(redemptions.c.deleted_at.is_(None))
    return [dict(row) for row in connection.execute(chosen).mappings()]


def _log_row(connection: Connection, user: int, quota: int, code: int) -> LogRow:
    name = connection.execute(select(users.c.username).where(users.c.id == user)).scalar()
    content = f"redeemed code {code}: {quota} quota units"
    return LogRow(user_id=user, username=name or "", type=TOP_UP, content=content, quota=quota)


def listed(db: Database, status: int | None = None) -> list[RedemptionCode]:
    """The codes that are not deleted, newest first."""
    conditions = () if status is None else (redemptions.c.status == status,)
    with db.read() as connection:
        return [_code(row) for row in _rows(db, connection, *conditions)]


def _code(row: dict[str, Any]) -> RedemptionCode:
    return RedemptionCode(
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
