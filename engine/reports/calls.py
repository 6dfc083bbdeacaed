"""The log as lists show it, and what it adds up to. Questions that no index answers are bounded, and say so."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from engine.accounts.key_report import shown_row
from engine.errors import Invalid
from engine.reports import rollups
from engine.storage.database import Database
from engine.storage.rows import calls, channel_edits, people
from engine.storage.rows.api.hours import Asked
from engine.storage.rows.calls import Wanted
from engine.storage.rows.crud import Row
from engine.texts import refusal

MOST_ROWS = 10_000
_DAYS = 31
_DAY = 86_400
_TEXTS = (
    "content",
    "username",
    "token_name",
    "model_name",
    "group",
    "ip",
    "request_id",
    "upstream_request_id",
    "other",
)
_NEUTRAL = {
    **dict.fromkeys(("id", "user_id", "token_id", "channel_id"), 0),
    **dict.fromkeys(("username", "model_name", "use_group", "node_name"), ""),
}
_QUOTA = Asked(("calls", "quota", "prompt_tokens", "completion_tokens"), parts=False)
_NUMBERS = ("user_id", "created_at", "type", "quota", "prompt_tokens", "completion_tokens", "use_time", "token_id")


def listed(log_db: Database, db: Database, wanted: Wanted, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """A page as administrators see it."""
    wanted = bounded(wanted)
    if "%" in wanted.model and wanted.model.strip("%"):
        models = rollups.models(db, log_db, wanted.model)
        if models == []:
            return [], 0
        wanted = wanted if models is None else dataclasses.replace(wanted, model="", models=tuple(models))
    rows, total = _page(log_db, wanted, offset, limit)
    names = _channel_names(db, rows)
    return [row_of(row, names) for row in rows], total


def own(log_db: Database, wanted: Wanted, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """A page as a user sees its own: numbered from 1, without what concerns the operator alone."""
    rows, total = _page(log_db, wanted, offset, limit)
    return [shown_row(row, number) for number, row in enumerate(rows, 1)], total


def _page(log_db: Database, wanted: Wanted, offset: int, limit: int) -> tuple[list[Row], int]:
    wanted = bounded(wanted)
    if offset >= MOST_ROWS:
        raise refusal(Invalid, "search.deep", field="p", most=MOST_ROWS)
    return log_db.aside(lambda: calls.page(log_db, wanted, offset, limit, MOST_ROWS))


def bounded(wanted: Wanted) -> Wanted:
    """A pattern with a range needs one of a month at most; without one the newest month is looked at."""
    until = wanted.until or int(time.time())
    if wanted.patterns and wanted.since and until - wanted.since > _DAYS * _DAY:
        raise refusal(Invalid, "search.range", days=_DAYS)
    return dataclasses.replace(wanted, since=until - _DAYS * _DAY) if wanted.patterns and not wanted.since else wanted


def _channel_names(db: Database, rows: Sequence[Row]) -> dict[int, str]:
    ids = sorted({row["channel_id"] for row in rows if row.get("channel_id")})
    return {row["id"]: row.get("name") or "" for row in channel_edits.several(db, ids)} if ids else {}


def row_of(row: Row, names: dict[int, str]) -> dict[str, Any]:
    """A log row whole."""
    channel = row.get("channel_id") or 0
    return {
        "id": row["id"],
        **{name: row.get(name) or 0 for name in _NUMBERS},
        **{name: row.get(name) or "" for name in _TEXTS},
        "is_stream": bool(row.get("is_stream")),
        "channel": channel,
        "channel_name": names.get(channel, ""),
    }


def stat(log_db: Database, wanted: Wanted) -> dict[str, int]:
    """What calls that fit were charged; calls and tokens of the last minute."""
    wanted = bounded(wanted)
    quota = log_db.aside(lambda: calls.used(log_db, wanted))
    rpm, tpm = log_db.aside(lambda: calls.pace(log_db, wanted))
    return {"quota": quota, "rpm": rpm, "tpm": tpm}


def hourly(log_db: Database, since: int, until: int, by: Sequence[str], wanted: Wanted, days: int) -> list[Row]:
    """Quota rows per hour; a range of ``days`` at most."""
    until = until or int(time.time())
    since = since or until - _DAY
    if until - since > days * _DAY:
        raise refusal(Invalid, "data.span", days=days)
    rows = log_db.aside(lambda: calls.hourly(log_db, since, until, by, wanted))
    return [{**_NEUTRAL, **row, **({"use_group": row["group"]} if "group" in row else {})} for row in rows]


def quota_rows(db: Database, log_db: Database, dimension: str, since: int, until: int, user: int = 0) -> list[Row]:
    """Sums per hour as the family's program tells them: per ``model``, per ``user``, or one user's per model."""
    until = until or int(time.time())
    since = since or until - _DAY
    begins = f"{user}|" if user else ""
    wanted = Wanted(user=user)
    answer = rollups.sums(db, log_db, dimension, since, until, begins=begins, wanted=wanted, asked=_QUOTA)
    ids = [int(value) for _, value, _ in answer] if dimension == "user" else [user] if user else []
    names = people.names(db, sorted(set(ids)))
    rows = []
    whose = {"user_id": user, "username": names.get(user, "")} if user else {}
    for (_, value, hour), numbers in answer.items():
        if not numbers["calls"]:
            continue
        row = {**_NEUTRAL, "created_at": hour, "count": numbers["calls"], "quota": numbers["quota"], **whose}
        row["token_used"] = numbers["prompt_tokens"] + numbers["completion_tokens"]
        if dimension == "user":
            row["username"] = names.get(int(value), "")
        else:
            row["model_name"] = value.partition("|")[2] if user else value
        rows.append(row)
    return sorted(rows, key=itemgetter("created_at"))


def speeds(log_db: Database, hours: int, model: str = "") -> list[Row]:
    """How fast and how well calls went, per model and group."""
    hours = min(max(hours, 1), _DAYS * 24)
    since = int(time.time()) - hours * 3600
    return log_db.aside(lambda: calls.speeds(log_db, since, model))
