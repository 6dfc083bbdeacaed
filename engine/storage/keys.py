"""Making, listing and revoking keys, and the columns that a row may be given in databases of every age.

Keys are 48 characters of 0-9A-Za-z, stored bare and in plain text as the family's programs read them; clients send
them with ``sk-`` before. A key is shown in full once, when it is made. Knows nothing of calls.
"""

from __future__ import annotations

import datetime
import secrets
import string
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection, CursorResult, Table, delete, insert, select, update

from engine.storage.accounts import DISABLED, ENABLED, split_key
from engine.storage.database import Database, StorageError
from engine.storage.tables.core import tokens, users

_ALPHABET = string.digits + string.ascii_letters
_LENGTH = 48
_BOUNDED = 191


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; ``key`` as clients send it."""

    token_id: int
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as lists show it: the key itself masked."""

    token_id: int
    name: str
    username: str
    key: str
    status: int
    group: str
    unlimited: bool
    remain_quota: int
    used_quota: int
    created: int
    expires: int


def random_text(length: int) -> str:
    """So many random letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_id(result: CursorResult[Any]) -> int:
    """The id that the engine gave to the row just inserted."""
    made = result.inserted_primary_key
    assert made is not None
    return int(made[0])


def present(db: Database, table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Only those values whose columns this database has."""
    there = db.columns.get(table.name, frozenset())
    return {name: value for name, value in values.items() if name in there}


def create_key(
    db: Database,
    user: str | int,
    name: str,
    *,
    group: str = "",
    quota: int | None = None,
    expires: int = -1,
    models: Iterable[str] = (),
    networks: Iterable[str] = (),
) -> NewKey:
    """Make a key for a user, by name or id. ``quota`` of nothing is unlimited; ``expires`` is a Unix time."""
    key, limits, allowed = random_text(_LENGTH), ",".join(models), "\n".join(checked(networks))
    for what, text in (("name", name), ("group", group), ("network list", allowed)):
        if len(text) > _BOUNDED:
            raise StorageError(f"the key's {what} is {len(text)} characters long; the column holds {_BOUNDED}")
    row = {
        "key": key,
        "status": ENABLED,
        "name": name,
        "created_time": int(time.time()),
        "accessed_time": int(time.time()),
        "expired_time": expires,
        "remain_quota": quota or 0,
        "unlimited_quota": quota is None,
        "model_limits_enabled": bool(limits),
        "model_limits": limits,
        "allow_ips": allowed,
        "used_quota": 0,
        "group": group,
        "cross_group_retry": False,
        "auto_groups": "",
    }
    _expressible(db, {"model_limits": limits, "allow_ips": allowed, "group": group})

    def work(connection: Connection) -> int:
        values = present(db, tokens, {**row, "user_id": user_id(db, connection, user)})
        return new_id(connection.execute(insert(tokens).values(values)))

    return NewKey(db.write(work), name, f"sk-{key}")


def _expressible(db: Database, wanted: dict[str, str]) -> None:
    missing = [name for name, value in wanted.items() if value and name not in db.columns.get("tokens", ())]
    if missing:
        raise StorageError(
            f"this database's keys have no {missing[0]}: it was made by an older program; upgrade it or leave that out"
        )


def checked(entries: Iterable[str]) -> list[str]:
    """Addresses and networks, or a refusal that names the one that is none."""
    found = []
    for entry in entries:
        try:
            ip_network(entry.strip(), strict=False)
        except ValueError:
            raise StorageError(f"{entry!r} is no address and no network (expected 10.0.0.1 or 10.0.0.0/8)") from None
        found.append(entry.strip())
    return found


def user_id(db: Database, connection: Connection, user: str | int) -> int:
    """The id of a user who is there, by name or id."""
    chosen = select(users.c.id).where(users.c.id == user if isinstance(user, int) else users.c.username == user)
    if "deleted_at" in db.columns.get("users", ()):
        chosen = chosen.where(users.c.deleted_at.is_(None))
    found = connection.execute(chosen).scalar()
    if found is None:
        raise StorageError(f"no user {user!r}; gatewright user create makes one")
    return int(found)


_LISTED = "id name key status group unlimited_quota remain_quota used_quota created_time expired_time"


def list_keys(db: Database, user: str | None = None) -> list[KeyInfo]:
    """The keys that are not deleted, newest first."""
    there = db.columns.get("tokens", frozenset())
    wanted = [name for name in _LISTED.split() if name in there]
    chosen = select(*(tokens.c[name] for name in wanted), users.c.username)
    chosen = chosen.select_from(tokens.outerjoin(users, tokens.c.user_id == users.c.id)).order_by(tokens.c.id.desc())
    if "deleted_at" in there:
        chosen = chosen.where(tokens.c.deleted_at.is_(None))
    if user is not None:
        chosen = chosen.where(users.c.username == user)
    with db.read() as connection:
        return [_info(dict(row)) for row in connection.execute(chosen).mappings()]


def _info(row: dict[Any, Any]) -> KeyInfo:
    key = str(row["key"] or "").rstrip()
    return KeyInfo(
        token_id=row["id"],
        name=row["name"] or "",
        username=row["username"] or "",
        key=f"sk-{key[:4]}...{key[-4:]}",
        status=row["status"] or 0,
        group=row.get("group") or "",
        unlimited=bool(row["unlimited_quota"]),
        remain_quota=row["remain_quota"] or 0,
        used_quota=row["used_quota"] or 0,
        created=row["created_time"] or 0,
        expires=-1 if row["expired_time"] is None else row["expired_time"],
    )


def revoke_key(db: Database, which: str | int) -> bool:
    """Delete a key, by itself or by its id; false when there is none. It is refused at once, its log rows stay."""
    soft = "deleted_at" in db.columns.get("tokens", ())
    chosen = tokens.c.id == which if isinstance(which, int) else tokens.c.key == split_key(which)[0]

    def work(connection: Connection) -> bool:
        if not soft:
            return connection.execute(delete(tokens).where(chosen)).rowcount > 0
        now = datetime.datetime.now(datetime.UTC)
        gone = update(tokens).where(chosen, tokens.c.deleted_at.is_(None)).values(status=DISABLED, deleted_at=now)
        return connection.execute(gone).rowcount > 0

    return db.write(work)
