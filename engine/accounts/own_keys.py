"""What a user may do with its own keys through the management API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from engine.accounts import credit
from engine.accounts.keys import checked, random_text
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.key_form import for_writing, is_hash
from engine.storage.rows import budgets, tokens
from engine.storage.rows.accounts import comma
from engine.storage.rows.api import call_tags
from engine.storage.rows.crud import Guard, Row
from engine.storage.values import DISABLED, ENABLED, EXHAUSTED, EXPIRED
from engine.texts import refusal

NAME, LENGTH = 50, 48
MOST_QUOTA = 10**9 * 500_000
MOST_IDS = 100
_TAG = re.compile(r"(?=.{1,65}$)([a-z0-9][a-z0-9._:/@+=-]{0,63})?\*?")
_FIELDS = (
    *("name", "expired_time", "remain_quota", "unlimited_quota", "model_limits_enabled", "model_limits", "allow_ips"),
    *("group", "cross_group_retry", "auto_groups"),
)


def mine(db: Database, user: int, which: int) -> Row:
    """A key of the user; another's is as if it were not there."""
    row = tokens.mine(db, user, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def clear(row: Row) -> str:
    """A key in clear, bare. Raises ``Conflict`` where it is kept as a hash."""
    key = str(row.get("key") or "").rstrip()
    if is_hash(key):
        raise refusal(Conflict, "token.hashed")
    return key


def values_of(body: Mapping[str, Any], open_to: Collection[str]) -> dict[str, Any]:
    """The columns that a body sets, checked; older names of members count too."""
    given = _given(body)
    if len(given.get("name", "").encode("utf-8", "replace")) > NAME:
        raise refusal(Invalid, "token.name", field="name")
    quota = given.get("remain_quota", 0)
    if quota < 0 and not given.get("unlimited_quota"):
        raise refusal(Invalid, "token.negative", field="remain_quota")
    if abs(quota) > MOST_QUOTA:
        raise refusal(Invalid, "token.huge", field="remain_quota", most=MOST_QUOTA)
    group = given.get("group", "")
    if group and group not in open_to:
        raise refusal(Invalid, "token.group", field="group", group=group)
    if "allow_ips" in given:
        given["allow_ips"] = "\n".join(checked(given["allow_ips"].replace(",", "\n").split()))
    for name, most in (("model_limits", 20_000), ("allow_ips", 191)):
        if len(given.get(name, "")) > most:
            raise refusal(Invalid, "invalid.field", field=name, what=f"{most} characters at most")
    if "auto_groups" in given:
        given["auto_groups"] = _auto(given["auto_groups"], open_to)
    return given


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a body names, by newer or older names of members."""
    given = {name: body[name] for name in _FIELDS if body.get(name) is not None}
    if body.get("models") and "model_limits" not in given:
        given |= {"model_limits": body["models"], "model_limits_enabled": True}
    if body.get("subnet") and "allow_ips" not in given:
        given["allow_ips"] = body["subnet"].replace(",", "\n")
    return given


def _auto(names: list[Any], open_to: Collection[str]) -> str:
    good = all(isinstance(name, str) and name in open_to for name in names) and len(set(map(str, names))) == len(names)
    if not good:
        raise refusal(Invalid, "invalid.field", field="auto_groups", what="groups that are open to you, each once")
    return orjson.dumps(names).decode() if names else ""


def _tags(body: Mapping[str, Any]) -> list[str] | None:
    """The tags that a body binds a key's calls to; nothing where it does not speak of them."""
    if body.get("call_tags") is None:
        return None
    tags = list(dict.fromkeys(comma(body["call_tags"].lower())))
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise refusal(
                Invalid, "invalid.field", field="call_tags", what="a-z 0-9 . _ : / @ + = - (64), * at the end"
            )
    return tags


def create(
    db: Database,
    user: int,
    body: Mapping[str, Any],
    open_to: Collection[str],
    most: int,
    also: Callable[[Connection, int], None] | None = None,
) -> Row:
    """Make a key; its row, the key in clear. ``also`` is done in the same transaction, and ends it where it raises."""
    values, tags = values_of(body, open_to), _tags(body)
    if sum(tokens.states(db, user).values()) >= most:
        raise refusal(Conflict, "token.most", most=most)
    now = int(time.time())
    row = {
        "name": "",
        "expired_time": -1,
        "remain_quota": 0,
        "unlimited_quota": False,
        "model_limits_enabled": False,
        "model_limits": "",
        "allow_ips": "",
        "group": "",
        "cross_group_retry": False,
        "auto_groups": "",
        **values,
        "user_id": user,
        "key": random_text(LENGTH),
        "status": ENABLED,
        "created_time": now,
        "accessed_time": now,
        "used_quota": 0,
    }

    def work(connection: Connection) -> int:
        which = tokens.add(db, connection, {**row, "key": for_writing(db, connection, str(row["key"]))})
        budgets.begin(db, connection, budgets.KEY, which)
        if tags:
            call_tags.put(connection, which, tags)
        if also is not None:
            also(connection, which)
        return which

    return {**row, "id": db.write(work)}


def change(
    db: Database,
    user: int,
    which: int,
    body: Mapping[str, Any],
    open_to: Collection[str],
    guard: Guard | None = None,
    also: Callable[[Connection], None] | None = None,
) -> Row:
    """Change what is given of a key. ``also`` is done in the same transaction."""
    row = mine(db, user, which)
    values, tags = values_of(body, open_to), _tags(body)
    status = _status(row, values)
    if body.get("status") in (ENABLED, DISABLED) and body["status"] != row["status"]:
        status = body["status"]

    def work(connection: Any) -> None:
        tokens.guarded(db, connection, user, which, guard)
        kept = {**values, "status": status}
        quota = kept.pop("remain_quota", None)
        if quota is not None and quota != row.get("remain_quota"):
            credit.set_key(connection, which, quota, "owner")
        tokens.change(db, connection, user, which, kept)
        if tags is not None:
            call_tags.put(connection, which, tags)
        if also is not None:
            also(connection)

    db.write(work)
    return mine(db, user, which)


def renew(db: Database, user: int, which: int) -> Row:
    """Another secret for a key: its name, limits and history stay; the row has the new one in clear."""
    mine(db, user, which)
    fresh = random_text(LENGTH)

    def work(connection: Connection) -> None:
        tokens.change(db, connection, user, which, {"key": for_writing(db, connection, fresh)})

    db.write(work)
    return {**mine(db, user, which), "key": fresh}


def _status(row: Row, values: Mapping[str, Any]) -> int:
    """More quota or time bring back a key that had run out of it, and the other way round."""
    now = {**row, **values}
    status = int(row.get("status") or 0)
    if status == DISABLED:
        return DISABLED
    if now["expired_time"] not in (-1, 0, None) and now["expired_time"] <= time.time():
        return EXPIRED
    if not now["unlimited_quota"] and (now["remain_quota"] or 0) <= 0:
        return EXHAUSTED
    return ENABLED


def set_status(db: Database, user: int, which: int, status: int) -> Row:
    """Switch a key on or off; one that has run out can't be switched on."""
    row = mine(db, user, which)
    if status not in (ENABLED, DISABLED):
        raise refusal(Invalid, "invalid.field", field="status", what="1 or 2")
    if status == ENABLED:
        state = _status({**row, "status": ENABLED}, {})
        if state == EXPIRED:
            raise refusal(Conflict, "token.expired")
        if state == EXHAUSTED:
            raise refusal(Conflict, "token.exhausted")
    db.write(lambda connection: tokens.change(db, connection, user, which, {"status": status}))
    return mine(db, user, which)


def delete(db: Database, user: int, ids: list[int], guard: Guard | None = None) -> int:
    """Delete keys of the user; how many there were."""

    def work(connection: Any) -> int:
        for which in ids if guard is not None else ():
            tokens.guarded(db, connection, user, which, guard)
        return tokens.bury(db, connection, user, ids)

    return db.write(work)


def ids_of(value: Any) -> list[int]:
    """A list of ids; raises ``Invalid`` where it is none, is empty or too long."""
    good = isinstance(value, list) and value and len(value) <= MOST_IDS
    if not good or any(isinstance(one, bool) or not isinstance(one, int) or abs(one) >= 2**63 for one in value):
        raise refusal(Invalid, "invalid")
    return list(value)
