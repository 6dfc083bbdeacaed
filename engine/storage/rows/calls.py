"""Log rows as lists and sums ask for them. Knows no rules and no names of channels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, delete, func, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.channel_edits import escaped
from engine.storage.rows.crud import Row
from engine.storage.tables.core import logs
from engine.storage.tables.own import log_extra

CONSUME = 2
_DELETED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is filtered by; nothing filters by nothing. ``%`` in a name stands for anything."""

    kind: int = 0
    since: int = 0
    until: int = 0
    user: int = 0
    username: str = ""
    token_name: str = ""
    model: str = ""
    channel: int = 0
    group: str = ""
    request_id: str = ""
    upstream_request_id: str = ""
    tag: str = ""
    models: tuple[str, ...] = ()
    """The names that a pattern stands for, where they are known."""

    @property
    def patterns(self) -> bool:
        """Whether it has a pattern, for which no index helps."""
        return "%" in self.username or "%" in self.model or bool(self.tag)


def conditions(db: Database, wanted: Wanted) -> list[Any]:
    """The conditions of a filter, as far as this database has the columns."""
    there = db.columns.get("logs", frozenset())
    where: list[Any] = []
    for name, value in (
        ("type", wanted.kind),
        ("user_id", wanted.user),
        ("token_name", wanted.token_name),
        ("channel_id", wanted.channel),
        ("group", wanted.group),
        ("request_id", wanted.request_id),
        ("upstream_request_id", wanted.upstream_request_id),
    ):
        if value and name in there:
            where.append(logs.c[name] == value)
    for column, text in ((logs.c.username, wanted.username), (logs.c.model_name, wanted.model)):
        if text:
            where.append(column.like(text) if "%" in text else column == text)
    if wanted.models:
        where.append(logs.c.model_name.in_(wanted.models))
    if wanted.tag:
        where.append(tagged(db, wanted.tag))
    if wanted.since:
        where.append(logs.c.created_at >= wanted.since)
    if wanted.until:
        where.append(logs.c.created_at <= wanted.until)
    return where


def tagged(db: Database, tag: str) -> Any:
    """The condition that a call has a tag: its tags stand last in what the row says beside its columns."""
    pattern = f'%"tags":[%"{escaped(tag.lower())}"%]}}'
    if "other" in db.columns.get("logs", ()):
        return logs.c.other.like(pattern, escape="!")
    return logs.c.request_id.in_(select(log_extra.c.request_id).where(log_extra.c.other.like(pattern, escape="!")))


def page(db: Database, wanted: Wanted, offset: int, limit: int, most: int) -> tuple[list[Row], int]:
    """A page of rows, newest first, and how many there are (no more than ``most`` are counted)."""
    where = conditions(db, wanted)
    rows = crud.listed(db, logs, where, [logs.c.id.desc()], offset=offset, limit=limit)
    if "other" not in db.columns.get("logs", ()):
        add_extra(db, rows)
    return rows, crud.count(db, logs, where, most=most)


def add_extra(db: Database, rows: Sequence[Row]) -> None:
    """What our own table holds for a log table that has no ``other``."""
    ids = [row["request_id"] for row in rows if row.get("request_id")]
    if not ids or log_extra.name not in db.columns:
        return
    extra = {row["request_id"]: row["other"] for row in crud.listed(db, log_extra, [log_extra.c.request_id.in_(ids)])}
    for row in rows:
        row["other"] = extra.get(row.get("request_id") or "", "")


def used(db: Database, wanted: Wanted) -> int:
    """What the calls that fit were charged."""
    chosen = select(func.coalesce(func.sum(logs.c.quota), 0)).where(*conditions(db, wanted))
    with db.read() as reader:
        return int(reader.execute(chosen).scalar() or 0)


def pace(db: Database, wanted: Wanted) -> tuple[int, int]:
    """Calls and tokens of the last minute."""
    tokens = func.coalesce(func.sum(logs.c.prompt_tokens + logs.c.completion_tokens), 0)
    where = [*conditions(db, wanted), logs.c.created_at >= int(time.time()) - 60]
    with db.read() as reader:
        row = reader.execute(select(func.count(), tokens).where(*where)).one()
    return int(row[0]), int(row[1])


def hourly(db: Database, since: int, until: int, by: Sequence[str], wanted: Wanted) -> list[Row]:
    """Calls, tokens and charges per hour and some columns."""
    hour = (logs.c.created_at - logs.c.created_at % 3600).label("created_at")
    there = db.columns.get("logs", frozenset())
    keys = [logs.c[name] for name in by if name in there]
    chosen = select(
        *keys,
        hour,
        func.count().label("count"),
        func.coalesce(func.sum(logs.c.quota), 0).label("quota"),
        func.coalesce(func.sum(logs.c.prompt_tokens + logs.c.completion_tokens), 0).label("token_used"),
    )
    where = [*conditions(db, wanted), logs.c.created_at >= since, logs.c.created_at <= until]
    chosen = chosen.where(*where).group_by(*keys, hour).order_by(hour).limit(50_000)
    with db.read() as reader:
        return [_numbers(row) for row in reader.execute(chosen).mappings()]


def speeds(db: Database, since: int, model: str) -> list[Row]:
    """Calls, errors, seconds and tokens per model and group since a moment."""
    if "group" not in db.columns.get("logs", ()):
        return []  # an older program's log
    failed = func.sum(case((logs.c.type == 5, 1), else_=0)).label("failed")
    chosen = select(
        logs.c.model_name,
        logs.c.group,
        func.count().label("count"),
        failed,
        func.coalesce(func.sum(logs.c.use_time), 0).label("seconds"),
        func.coalesce(func.sum(logs.c.completion_tokens), 0).label("tokens"),
    ).where(logs.c.created_at >= since, logs.c.type.in_((2, 5)))
    if model:
        chosen = chosen.where(logs.c.model_name == model)
    with db.read() as reader:
        rows = reader.execute(chosen.group_by(logs.c.model_name, logs.c.group).limit(5_000)).mappings()
        return [_numbers(row) for row in rows]


def _numbers(row: Mapping[Any, Any]) -> Row:
    """Sums are exact numbers of their own on some engines."""
    return {str(name): int(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def clean(db: Database, before: int) -> int:
    """Delete rows older than a moment, in pieces, so that calls go on meanwhile; how many."""
    total = 0
    while True:

        def work(connection: Connection) -> int:
            ids = [
                row[0]
                for row in connection.execute(
                    select(logs.c.id).where(logs.c.created_at < before).limit(_DELETED_AT_ONCE)
                )
            ]
            return connection.execute(delete(logs).where(logs.c.id.in_(ids))).rowcount if ids else 0

        count = db.write(work)
        total += count
        if count < _DELETED_AT_ONCE:
            return total
