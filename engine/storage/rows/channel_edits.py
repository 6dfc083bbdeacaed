"""Channels as rows that are edited: listed, counted, made, changed, deleted, with their abilities. Knows no rules."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from engine.storage.database import Database
from engine.storage.releases import acting
from engine.storage.releases import rows as revisions
from engine.storage.rows import crud, trail
from engine.storage.rows.accounts import comma
from engine.storage.rows.crud import Guard, Row
from engine.storage.rows.work import outbox
from engine.storage.rows.work.noted import TEST_FAULT, asked_again, with_members, without_fault
from engine.storage.tables.core import abilities, channels
from engine.storage.values import AUTO_DISABLED, ENABLED
from engine.storage.vault import CHANNEL_KEY, SealedError

SORTED = ("id", "name", "priority", "balance", "response_time", "test_time")


def _opened(db: Database, row: Row) -> Row:
    try:
        return {**row, "key": db.vault.open(row.get("key") or "", CHANNEL_KEY)}
    except SealedError:
        return {**row, "key": ""}


_FAULT = 500
"""Characters that are kept of what a test failed by."""


def one(db: Database, which: int) -> Row | None:
    """A channel by id, its key in clear."""
    row = crud.one(db, channels, channels.c.id == which)
    return None if row is None else _opened(db, row)


def listed(db: Database, where: Sequence[Any] = (), order: Sequence[Any] = (), **page: int) -> list[Row]:
    """Channels, their keys in clear."""
    return [_opened(db, row) for row in crud.listed(db, channels, where, order, **page)]


def several(db: Database, ids: Sequence[int]) -> list[Row]:
    """Channels by their ids."""
    return listed(db, [channels.c.id.in_(list(ids))], [channels.c.id])


def tagged(db: Database, tag: str) -> list[Row]:
    """The channels of a tag; an older program's database has none."""
    if "tag" not in db.columns.get("channels", ()):
        return []
    return listed(db, [channels.c.tag == tag], [channels.c.id])


def count(db: Database, where: Sequence[Any]) -> int:
    """How many fit."""
    return crud.count(db, channels, where)


def types(db: Database, where: Sequence[Any]) -> dict[str, int]:
    """How many of each type fit."""
    chosen = select(channels.c.type, func.count()).where(*where).group_by(channels.c.type)
    with db.read() as reader:
        return {str(row[0]): int(row[1]) for row in reader.execute(chosen)}


def tags(db: Database, where: Sequence[Any], offset: int, limit: int) -> tuple[list[str], int]:
    """A page of tags of the channels that fit, and how many there are."""
    if "tag" not in db.columns.get("channels", ()):
        return [], 0
    mine = [*where, channels.c.tag.is_not(None), channels.c.tag != ""]
    chosen = select(channels.c.tag).where(*mine).distinct().order_by(channels.c.tag)
    with db.read() as reader:
        names = [str(row[0]) for row in reader.execute(chosen)]
    return names[offset : offset + limit], len(names)


def conditions(
    *, group: str = "", status: bool | None = None, kind: int | None = None, tag: Sequence[str] | None = None
) -> list[Any]:
    """What lists are filtered by."""
    where: list[Any] = []
    if group:
        where.append(("," + channels.c.group + ",").like(f"%,{escaped(group)},%", escape="!"))
    if status is not None:
        where.append(channels.c.status == ENABLED if status else channels.c.status != ENABLED)
    if kind is not None:
        where.append(channels.c.type == kind)
    if tag is not None:
        where.append(channels.c.tag.in_(list(tag)))
    return where


def matching(keyword: str, model: str) -> list[Any]:
    """What a search looks for: a word in name or address, an id, or a key as it is; a part of a model's name."""
    where: list[Any] = []
    if keyword:
        pattern = f"%{escaped(keyword)}%"
        where.append(
            or_(
                channels.c.name.like(pattern, escape="!"),
                channels.c.base_url.like(pattern, escape="!"),
                channels.c.key == keyword,
                *(
                    [channels.c.id == int(keyword)]
                    if keyword.isascii() and keyword.isdigit() and len(keyword) < 18
                    else []
                ),
            )
        )
    if model:
        where.append(channels.c.models.like(f"%{escaped(model)}%", escape="!"))
    return where


def escaped(text: str) -> str:
    """A text in which no sign of a pattern counts."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def order(sort: str, *, descending: bool, by_id: bool) -> list[Any]:
    """How a list is sorted: by priority, unless it is said."""
    if sort in SORTED:
        column = channels.c[sort]
        return [column.desc() if descending else column.asc(), channels.c.id.asc()]
    return [channels.c.id.desc()] if by_id else [channels.c.priority.desc(), channels.c.id.asc()]


def put(db: Database, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Make channels; their ids."""

    by = acting.who()

    def work(connection: Connection) -> list[int]:
        ids = []
        for row in rows:
            values = {**row, "key": db.vault.seal(str(row["key"]), CHANNEL_KEY)}
            which = crud.add(db, connection, channels, values)
            ids.append(which)
            _enable(db, connection, {**row, "id": which})
            revisions.channel(db, connection, which, None, _now(db, connection, which), by)
        trail.changed(db, connection)
        return ids

    return db.write(work)


def change(
    db: Database, changes: Mapping[int, Mapping[str, Any]], *, quiet: bool = False, guard: Guard | None = None
) -> int:
    """Change channels by id; with ``quiet`` nothing that calls are routed by has changed."""

    by = acting.who()

    def work(connection: Connection) -> int:
        changed = 0
        for which, values in changes.items():
            crud.guarded(db, connection, channels, channels.c.id == which, guard)
            before = revisions.told(db, _now(db, connection, which))
            stored = dict(values)
            if values.get("status") == ENABLED:
                stored |= _back(db, connection, which)
            if "key" in stored:
                stored["key"] = db.vault.seal(str(stored["key"]), CHANNEL_KEY)
            changed += crud.change(db, connection, channels, [channels.c.id == which], stored)
            row = _now(db, connection, which)
            if row is not None:
                revisions.channel(db, connection, which, before, row, by)
            if row is not None and not quiet:
                _enable(db, connection, row)
        if not quiet:
            trail.changed(db, connection)
        return changed

    return db.write(work)


def _now(db: Database, connection: Connection, which: int) -> Row | None:
    return crud.one(db, channels, channels.c.id == which, connection=connection)


def _back(db: Database, connection: Connection, which: int) -> Row:
    """Tell that a channel serves again which had been switched off by itself; gives what else changes with that."""
    row = crud.one(db, channels, channels.c.id == which, channels.c.status == AUTO_DISABLED, connection=connection)
    if row is None:
        return {}
    values = {"channel": which, "name": str(row.get("name") or "")}
    outbox.happened(db, connection, "channel.back", values)
    return {"other_info": asked_again(row.get("other_info"))}


def remove(db: Database, where: Sequence[Any], guard: Guard | None = None) -> int:
    """Delete the channels that fit, and their abilities."""

    by = acting.who()

    def work(connection: Connection) -> int:
        ids = [row[0] for row in connection.execute(select(channels.c.id).where(*where))]
        for which in ids if guard is not None else ():
            crud.guarded(db, connection, channels, channels.c.id == which, guard)
        for which in ids:
            revisions.channel(db, connection, which, revisions.told(db, _now(db, connection, which)), None, by)
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            if "abilities" in db.columns:
                connection.execute(delete(abilities).where(abilities.c.channel_id.in_(part)))
            crud.remove(db, connection, channels, [channels.c.id.in_(part)])
        trail.changed(db, connection)
        return len(ids)

    return db.write(work)


def by_ids(ids: Sequence[int]) -> list[Any]:
    """The condition of these ids."""
    return [channels.c.id.in_(list(ids))]


def off() -> list[Any]:
    """The condition of channels that are switched off, by hand or by the system."""
    return [channels.c.status.in_((2, 3))]


def _enable(db: Database, connection: Connection, row: Mapping[str, Any]) -> None:
    """Write which models a channel serves for which groups, where other programs of the family read it."""
    if "abilities" not in db.columns:
        return
    connection.execute(delete(abilities).where(abilities.c.channel_id == row["id"]))
    pairs = {(group, model) for group in comma(row.get("group")) for model in comma(row.get("models"))}
    values = [
        crud.present(
            db,
            abilities,
            {
                "group": group[:64],
                "model": model[:255],
                "channel_id": row["id"],
                "enabled": row.get("status") == ENABLED,
                "priority": row.get("priority") or 0,
                "weight": row.get("weight") or 0,
                "tag": row.get("tag"),
            },
        )
        for group, model in sorted(pairs)
    ]
    if values:
        connection.execute(insert(abilities), values)


def repair(db: Database) -> int:
    """Write all abilities anew; of how many channels."""
    rows = listed(db, (), [channels.c.id])

    def work(connection: Connection) -> int:
        for row in rows:
            _enable(db, connection, row)
        return len(rows)

    return db.write(work)


def tested(db: Database, which: int, seconds: float, fault: str) -> None:
    """Note when a channel was tried, how long it took, and what was wrong until a test is answered."""
    values: dict[str, Any] = {"test_time": int(time.time()), "response_time": int(seconds * 1000)}
    row = one(db, which)
    if row is not None and "other_info" in row:
        before = without_fault(row.get("other_info"))
        values["other_info"] = with_members(before, {TEST_FAULT: fault[:_FAULT]}) if fault else before
    change(db, {which: values}, quiet=True)
