"""What the holder of a key may know of it: its figures, and its newest log rows as users see them.

``find(db, key)`` reads afresh, for databases of every age; ``log_rows`` shows what is listed, so that what concerns the
operator alone stays hidden. Whether the caller may ask is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import column, null, select
from sqlalchemy import table as sql_table

from engine.storage.database import Database
from engine.storage.rows.accounts import Account, comma, find_key
from engine.storage.tables.own import log_extra

_SHOWN: dict[str, tuple[str, ...] | None] = dict.fromkeys(
    (
        *("request_path", "frt", "reasoning_effort", "is_model_mapped", "losses", "budget", "unpriced", "usage_source"),
        *("model_ratio", "model_price", "completion_ratio", "group_ratio", "user_group_ratio", "cache_tokens"),
        *("cache_ratio", "cache_write_tokens", "cache_creation_tokens", "cache_creation_ratio"),
        *("cache_creation_tokens_5m", "cache_creation_ratio_5m", "cache_creation_tokens_1h", "cache_creation_ratio_1h"),
        *("image", "image_ratio", "image_output", "audio", "ws", "audio_input", "audio_output", "audio_ratio"),
        *("audio_completion_ratio", "text_input", "text_output", "audio_input_seperate_price", "audio_input_price"),
        *("audio_input_token_count", "input_tokens_total", "tool_surcharges", "usage_semantic"),
        *("billing_mode", "expr_b64", "matched_tier", "billing_source", "billing_preference", "wallet_quota_deducted"),
        *("subscription_id", "subscription_plan_id", "subscription_plan_title", "subscription_pre_consumed"),
        *("subscription_post_delta", "subscription_consumed", "subscription_total", "subscription_used"),
        *("subscription_remain", "is_task", "task_id", "pre_consumed_quota", "actual_quota", "violation_fee"),
        *("violation_fee_code", "violation_fee_marker", "fee_quota", "base_amount", "error_type", "error_code"),
        *("status_code", "usage", "tags"),
    )
)
"""Members of ``other`` that a key's holder is shown, and of some of them the members; a new one is hidden until it is
listed. The operator's: channels, releases, places of documents, models' names at providers, what was tried."""
_SHOWN |= {"price": ("usd", "lines"), "stream_status": ("status", "end_reason")}
_TEXTS = frozenset(
    ("content", "username", "token_name", "model_name", "channel_name", "group", "ip", "request_id", "other")
)
_LOG_COLUMNS = (
    *("id", "user_id", "created_at", "type", "content", "username", "token_name", "model_name", "quota"),
    *("prompt_tokens", "completion_tokens", "use_time", "is_stream", "channel_id", "channel_name", "token_id", "group"),
    *("ip", "request_id", "upstream_request_id", "other"),
)
_BATCH = 300


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A key with the figures of its own and of its user, in quota units."""

    account: Account
    used: int
    user_used: int
    limited: bool
    limits: tuple[str, ...]


def find(db: Database, bare_key: str) -> KeyReport | None:
    """The holder of a key; nothing when the key is unknown or deleted."""
    account = find_key(db, bare_key)
    if account is None:
        return None
    token = _row(db, "tokens", account.token_id, ["used_quota", "model_limits_enabled", "model_limits", "models"])
    user = _row(db, "users", account.user_id, ["used_quota"])
    if token is None or user is None:
        return None
    used, enabled, limits, models = token
    listed = limits if enabled else models
    return KeyReport(account, used or 0, user[0] or 0, account.model_limits is not None, tuple(comma(listed)))


def _row(db: Database, name: str, which: int, names: list[str]) -> tuple[Any, ...] | None:
    columns = db.columns.get(name, frozenset())
    rows = sql_table(name, column("id"), *(column(c) for c in names))
    chosen = select(*(rows.c[c] if c in columns else null() for c in names)).select_from(rows).where(rows.c.id == which)
    with db.read() as connection:
        row = connection.execute(chosen).first()
    return None if row is None else tuple(row)


def log_rows(db: Database, account: Account, most: int = 1000) -> list[dict[str, Any]]:
    """The newest log rows of a key, numbered from 1, without what concerns the operator alone."""
    columns = db.columns.get("logs", frozenset())
    log = sql_table("logs", *(column(name) for name in _LOG_COLUMNS if name in columns))
    if "token_id" in columns:
        chosen = select(log).where(log.c.token_id == account.token_id)
    else:  # older programs noted the key's name only
        mine = (log.c.user_id == account.user_id, log.c.token_name == account.token_name)
        chosen = select(log).where(*mine)
    with db.read() as connection:
        listed = connection.execute(chosen.order_by(log.c.id.desc()).limit(most)).mappings().all()
    rows = [dict(row) for row in listed]
    if "other" not in columns:
        _add_extra(db, rows)
    return [shown_row(row, number) for number, row in enumerate(rows, 1)]


def _add_extra(db: Database, rows: list[dict[str, Any]]) -> None:
    """What our own table holds for a log table that has no ``other``."""
    asked = [row["request_id"] for row in rows if row.get("request_id")]
    if log_extra.name not in db.columns:
        return
    extra: dict[str, str] = {}
    for start in range(0, len(asked), _BATCH):
        part = asked[start : start + _BATCH]
        with db.read() as connection:
            part_rows = connection.execute(
                select(log_extra.c.request_id, log_extra.c.other).where(log_extra.c.request_id.in_(part))
            )
            extra |= {row[0]: row[1] for row in part_rows}
    for row in rows:
        row["other"] = extra.get(row.get("request_id") or "", "")


def shown_row(row: dict[Any, Any], number: int) -> dict[str, Any]:
    """A log row as a user sees its own, under a number of the list."""
    values: dict[str, Any] = {name: row.get(name) for name in _LOG_COLUMNS}
    for name in _LOG_COLUMNS:
        if name == "is_stream":
            values[name] = bool(values[name])
        elif name in _TEXTS:
            values[name] = values[name] or ""
        else:
            values[name] = values[name] or 0
    values |= {"id": number, "channel_id": 0, "channel_name": "", "upstream_request_id": ""}
    values["other"] = _public(values["other"])
    return {"channel" if name == "channel_id" else name: value for name, value in values.items()}


def _public(text: str) -> str:
    try:
        other = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(other, dict):
        return ""
    return orjson.dumps(
        {name: _members(value, _SHOWN[name]) for name, value in other.items() if name in _SHOWN}
    ).decode()


def _members(value: Any, shown: tuple[str, ...] | None) -> Any:
    if shown is None:
        return value
    return {name: value[name] for name in shown if name in value} if isinstance(value, dict) else None
