"""Who calls: a key with its user, looked up for each call.

``find_key`` takes the bare key (no ``sk-``) and gives an ``Account`` with all that decides whether and how a call is
served; the verdict itself is the caller's. Reads databases of every age: a column that an older program did not make
is nothing, NULL is the neutral value. Knows no prices; making keys is ``engine.accounts.keys``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import orjson
from sqlalchemy import Select, String, bindparam, column, exists, null, select
from sqlalchemy import table as sql_table

from engine.storage.database import Database
from engine.storage.key_form import FACT, is_hash
from engine.storage.tables.billing import user_subscriptions
from engine.storage.tables.own import facts, key_tags
from engine.storage.values import ADMIN

Network = IPv4Network | IPv6Network
_NOBODY: tuple[Network, ...] = (IPv4Network("0.0.0.0/32"),)
_OLD_DELETED = 3
PLANS_FIRST, WALLET_FIRST, PLANS_ONLY, WALLET_ONLY = (
    "subscription_first",
    "wallet_first",
    "subscription_only",
    "wallet_only",
)
PREFERENCES = (PLANS_FIRST, WALLET_FIRST, PLANS_ONLY, WALLET_ONLY)
"""What a user can choose to be charged by (New API's words); the first is the default."""


@dataclass(frozen=True, slots=True)
class Account:
    """A key joined with its user. ``group`` is the one in use; ``model_limits`` of nothing allows every model.

    ``logs_ip``: the user has asked for its calls' addresses in the log. ``funding``: by which of ``PREFERENCES`` its
    calls are paid; empty where only the balance can pay.
    """

    user_id: int
    username: str
    role: int
    user_status: int
    user_deleted: bool
    user_group: str
    user_quota: int
    token_id: int
    token_name: str
    key: str
    status: int
    token_group: str
    group: str
    unlimited: bool
    remain_quota: int
    expires: int
    model_limits: frozenset[str] | None
    networks: tuple[Network, ...]
    cross_group_retry: bool
    auto_groups: tuple[str, ...]
    logs_ip: bool
    funding: str = ""
    call_tags: tuple[str, ...] = ()
    """The tags that its calls may have; any where there are none."""

    @property
    def admin(self) -> bool:
        """May choose a channel and see all."""
        return self.role >= ADMIN

    @property
    def spendable(self) -> bool:
        """Whether the key has quota left: what costs is done for those only."""
        return self.unlimited or self.remain_quota > 0


def split_key(sent: str) -> tuple[str, int | None]:
    """``sk-KEY-CHANNEL`` as sent: the bare key and the channel that an administrator pinned.

    -1 for what is no channel's number.
    """
    key, dash, channel = sent.strip().removeprefix("sk-").partition("-")
    if not dash or not channel:
        return key, None
    return key, int(channel) if channel.isascii() and channel.isdigit() and len(channel) < 19 else -1


_KEY_COLUMNS = (
    "id name key status group unlimited_quota remain_quota expired_time model_limits_enabled model_limits models"
    " allow_ips subnet cross_group_retry auto_groups"
)
_PLAN_COLUMNS = frozenset({"user_id", "status", "end_time", "amount_total", "amount_used"})
_USER_COLUMNS = "id username role status group quota deleted_at setting"
_USER = len(_KEY_COLUMNS.split())
"""Where the columns of the user begin."""


def _select(db: Database, *, by_id: bool = False) -> Select[Any]:
    """One indexed look-up, over the columns that there are; before them how keys are kept, told of unknown ones too."""

    def listed(name: str, names: str) -> tuple[Any, list[Any]]:
        present = db.columns.get(name, frozenset())
        columns_of = sql_table(name, *(column(c) for c in present))
        return columns_of, [columns_of.c[c] if c in present else null() for c in names.split()]

    token, token_columns = listed("tokens", _KEY_COLUMNS)
    user, user_columns = listed("users", _USER_COLUMNS)
    form = select(facts.c.value).where(facts.c.name == FACT).scalar_subquery()
    always = select((form if facts.name in db.columns else null()).label("form")).subquery("always")
    # both: a process that did not know of hashes yet may have written one in clear
    same = token.c.key.in_([bindparam("kept", type_=String()), bindparam("bare", type_=String())])
    same = token.c.id == bindparam("which") if by_id else same
    same = same & token.c.deleted_at.is_(None) if "deleted_at" in token.c else same
    rows = always.outerjoin(token, same).outerjoin(user, token.c.user_id == user.c.id)
    beside = [_planned(db, user.c["id"])]
    if key_tags.name in db.columns:
        rows = rows.outerjoin(key_tags, key_tags.c.token_id == token.c.id)
        beside.append(key_tags.c.tags)
    return select(always.c.form, *token_columns, *user_columns, *beside).select_from(rows)


def _planned(db: Database, user: Any) -> Any:
    """Whether a user has an active subscription; nothing, where an older program knew none."""
    there = db.columns.get(user_subscriptions.name, frozenset())
    if not there >= _PLAN_COLUMNS:
        return null()
    plan = user_subscriptions.c
    return exists().where(plan.user_id == user, plan.status == "active").correlate_except(user_subscriptions)


def find_key(db: Database, bare_key: str) -> Account | None:
    """The account behind a key; nothing when the key is unknown or deleted."""
    row = find_row(db, bare_key)
    return None if row is None else account(row, bare_key)


def of_id(db: Database, token_id: int) -> Account | None:
    """The account of a key's row, without the key; nothing when there is none, or it is deleted."""
    (_, *row), *_ = db.query(_select(db, by_id=True)).all(which=token_id)
    return None if row[0] is None or row[_USER] is None else account((*row[:2], "", *row[3:]), "")


def find_row(db: Database, bare_key: str) -> Sequence[Any] | None:
    """What the database says of a key, for ``account``; without the key itself. One read, whether it is known or not.

    A second one follows where keys became hashes since this process looked.
    """
    if not bare_key or "\0" in bare_key or is_hash(bare_key):  # what stands in the database opens no door
        return None
    form, row = _row_of(db, bare_key)
    if row is None and db.keys.learn(db, form):
        row = _row_of(db, bare_key)[1]
    return row


def _row_of(db: Database, bare: str) -> tuple[str | None, Sequence[Any] | None]:
    """How keys are kept, and the row of a key."""
    query = db.prepared.get("find_key")
    if query is None:
        query = db.prepared["find_key"] = db.query(_select(db))
    kept = db.keys.kept(bare)
    rows = query.all(kept=kept, bare=bare)
    for form, *row in rows:
        # MySQL compares without case; a key does not
        if row[2] is not None and row[2].rstrip() in (kept, bare) and row[_USER] is not None:
            return form, (*row[:2], "", *row[3:])
    return rows[0][0], None


def account(row: Sequence[Any], key: str) -> Account:
    """The account of a row."""
    token_id, name, _, status, group, unlimited, remain, expires = row[:8]
    limited, limits, models, addresses, subnet, cross, auto = row[8:15]
    user_id, username, role, user_status, user_group, quota, deleted, *setting = row[15:]
    user_group = user_group or "default"
    return Account(
        user_id=user_id,
        username=username or "",
        role=role or 0,
        user_status=user_status or 0,
        user_deleted=deleted is not None or user_status == _OLD_DELETED,
        user_group=user_group,
        user_quota=quota or 0,
        token_id=token_id,
        token_name=name or "",
        key=key,
        status=status or 0,
        token_group=group or "",
        group=group or user_group,
        unlimited=bool(unlimited),
        remain_quota=remain or 0,
        expires=-1 if expires is None else expires,
        model_limits=_limits(limited, limits, models),
        networks=_both(networks(addresses), networks(subnet)),
        cross_group_retry=bool(cross),
        auto_groups=_names(auto),
        logs_ip=_setting(setting[0], "record_ip_log") is True if setting else False,  # an older release kept none
        funding=funding(setting[0], planned=bool(setting[1])) if len(setting) > 1 else "",
        call_tags=tuple(comma(setting[2])) if len(setting) > 2 else (),
    )


def _setting(setting: str | None, name: str) -> Any:
    """What a user has set; nothing if not. PERF: few settings have the word, and only those are read."""
    if not setting or name not in setting:
        return None
    try:
        values = orjson.loads(setting)
    except orjson.JSONDecodeError:
        return None
    return values.get(name) if isinstance(values, dict) else None


def funding(setting: str | None, *, planned: bool) -> str:
    """By what calls are paid, where plans have a say in it."""
    chosen = _setting(setting, "billing_preference")
    preference = chosen if chosen in PREFERENCES else PLANS_FIRST
    if preference == PLANS_ONLY or (planned and preference != WALLET_ONLY):
        return str(preference)
    return ""


def _limits(enabled: object, limits: str | None, models: str | None) -> frozenset[str] | None:
    """Both programs' lists are limits: New API's counts when switched on, One API's when it is not empty."""
    lists = [frozenset(comma(limits))] if enabled else []
    if models and models.strip():
        lists.append(frozenset(comma(models)))
    return frozenset.intersection(*lists) if lists else None


def comma(text: str | None) -> list[str]:
    """The entries of a comma list, trimmed, without empty ones."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def networks(text: str | None) -> tuple[Network, ...]:
    """The networks of a list by lines or commas; where there are entries and none can be read, nobody is let in."""
    entries = (text or "").replace(",", " ").split()
    readable: list[Network] = []
    for entry in entries:
        try:
            readable.append(ip_network(entry, strict=False))
        except ValueError:
            continue
    return tuple(readable) if readable or not entries else _NOBODY


def _both(first: tuple[Network, ...], second: tuple[Network, ...]) -> tuple[Network, ...]:
    """What both lists allow, where both are given."""
    if not first or not second:
        return first or second
    inside = [a if a.prefixlen >= b.prefixlen else b for a in first for b in second if a.overlaps(b)]
    return tuple(inside) or _NOBODY


def _names(text: str | None) -> tuple[str, ...]:
    try:
        names = orjson.loads(text) if text else []
    except orjson.JSONDecodeError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
