"""Making, listing, changing and revoking keys, in databases of every age.

Keys are 48 characters of 0-9A-Za-z, stored bare and in plain text as the family's programs read them, or as hashes
(``engine.storage.key_form``); clients send them with ``sk-`` before. A key is shown in full once, when it is made. A
change takes only what is to be changed; a key's limits are written wherever this database keeps them, also where an
older program looks, and what the database can't hold is refused. Knows nothing of calls.
"""

from __future__ import annotations

import datetime
import secrets
import string
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection, CursorResult, Table, column, delete, insert, select, update
from sqlalchemy import table as sql_table

from engine.accounts.credit import set_key
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.key_form import for_writing, is_hash, tail
from engine.storage.rows import budgets
from engine.storage.rows.accounts import split_key
from engine.storage.tables.core import tokens, users
from engine.storage.values import DISABLED, ENABLED, EXHAUSTED, EXPIRED

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


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to be changed of a key; nothing leaves as it is. ``quota`` is what shall be left, ``unlimited`` wins."""

    enabled: bool | None = None
    group: str | None = None
    quota: int | None = None
    unlimited: bool | None = None
    expires: int | None = None
    models: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    cross_group_retry: bool | None = None


def random_text(length: int) -> str:
    """So many random letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_id(result: CursorResult[Any]) -> int:
    """The id that the engine gave to the row just inserted."""
    primary_key = result.inserted_primary_key
    assert primary_key is not None
    return int(primary_key[0])


def present(db: Database, table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Only those values whose columns this database has."""
    columns = db.columns.get(table.name, frozenset())
    return {name: value for name, value in values.items() if name in columns}


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
    for field, what, text in (("name", "name", name), ("group", "group", group), ("networks", "network list", allowed)):
        if len(text) > _BOUNDED:
            raise Invalid(field, f"the key's {what} is {len(text)} characters long", f"the column holds {_BOUNDED}")
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
        mine = {"user_id": user_id(db, connection, user), "key": for_writing(db, connection, key)}
        values = present(db, tokens, {**row, **mine})
        which = new_id(connection.execute(insert(tokens).values(values)))
        budgets.begin(db, connection, budgets.KEY, which)
        return which

    return NewKey(db.write(work), name, f"sk-{key}")


def _expressible(db: Database, limits: dict[str, str]) -> None:
    missing = [name for name, value in limits.items() if value and name not in db.columns.get("tokens", ())]
    if missing:
        raise Conflict(
            f"this database's keys have no {missing[0]}: it was made by an older program; upgrade it or leave that out"
        )


def checked(entries: Iterable[str]) -> list[str]:
    """Addresses and networks, or a refusal that names the one that is none."""
    addresses = []
    for entry in entries:
        try:
            ip_network(entry.strip(), strict=False)
        except ValueError:
            what = f"{entry!r} is no address and no network (expected 10.0.0.1 or 10.0.0.0/8)"
            raise Invalid("networks", what) from None
        addresses.append(entry.strip())
    return addresses


def user_id(db: Database, connection: Connection, user: str | int) -> int:
    """The id of a user who is there, by name or id."""
    chosen = select(users.c.id).where(users.c.id == user if isinstance(user, int) else users.c.username == user)
    if "deleted_at" in db.columns.get("users", ()):
        chosen = chosen.where(users.c.deleted_at.is_(None))
    number = connection.execute(chosen).scalar()
    if number is None:
        raise NotFound(f"no user {user!r}; gatewright user create makes one")
    return int(number)


_LISTED = "id name key status group unlimited_quota remain_quota used_quota created_time expired_time"


def list_keys(db: Database, user: str | None = None) -> list[KeyInfo]:
    """The keys that are not deleted, newest first."""
    columns = db.columns.get("tokens", frozenset())
    names = [name for name in _LISTED.split() if name in columns]
    chosen = select(*(tokens.c[name] for name in names), users.c.username)
    chosen = chosen.select_from(tokens.outerjoin(users, tokens.c.user_id == users.c.id)).order_by(tokens.c.id.desc())
    if "deleted_at" in columns:
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
        key=f"sk-...{tail(key)}" if is_hash(key) else f"sk-{key[:4]}...{key[-4:]}",
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

    def work(connection: Connection) -> bool:
        chosen = _chosen(db, connection, which)
        if not soft:
            return connection.execute(delete(tokens).where(chosen)).rowcount > 0
        now = datetime.datetime.now(datetime.UTC)
        gone = update(tokens).where(chosen, tokens.c.deleted_at.is_(None)).values(status=DISABLED, deleted_at=now)
        return connection.execute(gone).rowcount > 0

    return db.write(work)


def _chosen(db: Database, connection: Connection, which: str | int) -> Any:
    """The condition of a key, by its id or by itself."""
    if isinstance(which, int):
        return tokens.c.id == which
    return tokens.c.key == for_writing(db, connection, split_key(which)[0])


def change_key(db: Database, which: str | int, change: KeyChange) -> bool:
    """Change a key, by itself or by its id; false when there is none."""
    values = _key_values(change)
    limits = _limit_values(db, change)

    def work(connection: Connection) -> bool:
        chosen = _chosen(db, connection, which)
        if "deleted_at" in db.columns.get("tokens", ()):
            chosen &= tokens.c.deleted_at.is_(None)
        row = connection.execute(select(tokens.c.id, tokens.c.status).where(chosen)).first()
        if row is None:
            return False
        status = _revived(row[1], change)
        if values or status != row[1]:
            connection.execute(update(tokens).where(tokens.c.id == row[0]).values({**values, "status": status}))
        if limits:
            limit_table = sql_table("tokens", column("id"), *(column(name) for name in limits))
            connection.execute(update(limit_table).where(limit_table.c.id == row[0]).values(limits))
        if change.quota is not None and not change.unlimited:
            set_key(connection, row[0], change.quota, "admin")
        return True

    missing = [name for name in values if name not in db.columns.get("tokens", ())]
    if missing:
        raise Conflict(f"this database's keys have no {missing[0]}: upgrade it first, or leave that out")
    return db.write(work)


def _revived(status: int, change: KeyChange) -> int:
    """The status after a change: more quota or time bring back a key that had run out of it."""
    if change.enabled is not None:
        return ENABLED if change.enabled else DISABLED
    more = change.unlimited or (change.quota or 0) > 0
    longer = change.expires is not None and (change.expires == -1 or change.expires > time.time())
    return ENABLED if (status == EXHAUSTED and more) or (status == EXPIRED and longer) else status


def _key_values(change: KeyChange) -> dict[str, Any]:
    unlimited = change.unlimited if change.unlimited is not None else (False if change.quota is not None else None)
    named = {
        "group": change.group,
        "expired_time": change.expires,
        "unlimited_quota": unlimited,
        "cross_group_retry": change.cross_group_retry,
    }
    return {name: value for name, value in named.items() if value is not None}


def _limit_values(db: Database, change: KeyChange) -> dict[str, Any]:
    """The limits in every column that any program of the family reads them from, as far as this database has it."""
    columns = db.columns.get("tokens", frozenset())
    flag: Any = bool(change.models)
    values: dict[str, Any] = {}
    if change.models is not None:
        listed = ",".join(change.models)
        values |= {"model_limits": listed, "models": listed}
        values["model_limits_enabled"] = int(flag) if db.kind == "sqlite" else flag
    if change.networks is not None:
        allowed = checked(change.networks)
        values |= {"allow_ips": "\n".join(allowed), "subnet": ",".join(allowed)}
    writable = {name: value for name, value in values.items() if name in columns}
    for what, names in (("models", ("model_limits", "models")), ("networks", ("allow_ips", "subnet"))):
        if getattr(change, what) and not writable.keys() & set(names):
            raise Conflict(f"this database's keys can't be bound to {what}: upgrade it first, or leave that out")
    return writable
