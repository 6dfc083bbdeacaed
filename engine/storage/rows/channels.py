"""The ``channels`` table as the router wants it: one frozen row each, whatever program and age wrote it.

``load(db)`` gives all channels. Reading is lenient (NULL, empty text and JSON that can't be read count as nothing and
are named in ``faults``): one bad row must not take the others with it. Says by which numbering a row's type counts;
which provider a number means is for the documents.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import column, select, update
from sqlalchemy import table as sql_table

from engine.storage.database import Database
from engine.storage.releases import rows as revisions
from engine.storage.rows import trail
from engine.storage.rows.accounts import comma
from engine.storage.rows.work import outbox
from engine.storage.rows.work.noted import (
    ASIDE_UNTIL,
    ASKED_AGAIN,
    asked_again,
    keys_kept,
    keys_off,
    members_of,
    with_members,
)
from engine.storage.tables import core
from engine.storage.tables.columns import read_json
from engine.storage.tables.own import channel_origin, facts
from engine.storage.upgrade.origin import NEW, identify, row_numbering
from engine.storage.values import AUTO_DISABLED, ENABLED
from engine.storage.vault import CHANNEL_KEY, SealedError

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class MultiKey:
    """How a channel of several keys uses them: ``random`` or ``polling``, without the disabled ones (by index)."""

    mode: str
    disabled: frozenset[int]
    by_itself: frozenset[int] = frozenset()
    """Those of the disabled ones that the gateway switched off, and no operator."""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel. JSON columns are dicts, lists are tuples; ``numbering`` is ``newApi`` or ``oneApi``."""

    id: int
    type: int
    numbering: str
    status: int
    name: str
    keys: tuple[str, ...]
    models: tuple[str, ...]
    groups: tuple[str, ...]
    priority: int
    weight: int
    base_url: str
    other: str
    organization: str
    model_mapping: dict[str, str]
    status_code_mapping: dict[int, int]
    param_override: dict[str, Any]
    header_override: dict[str, Any]
    system_prompt: str
    setting: dict[str, Any]
    settings: dict[str, Any]
    config: dict[str, Any]
    multi: MultiKey | None
    auto_ban: bool
    tag: str
    test_model: str
    test_time: int
    response_time: int
    aside_until: float
    """Until when it is set aside by hand, in unix seconds; 0 for not."""
    asked_again: int
    """When it was last said by hand that it be asked again, in unix seconds."""
    faults: tuple[str, ...]


_WANTED = (
    "id type status name key models group priority weight base_url other open_ai_organization model_mapping"
    " status_code_mapping param_override header_override system_prompt setting settings config channel_info other_info"
    " auto_ban tag test_model test_time response_time created_time"
)


_LAST = 2**40


def load(db: Database, which: int | None = None) -> list[ChannelRow]:
    """All channels, by id; or that one alone, if it is there."""
    columns = db.columns.get("channels", frozenset())
    channels = sql_table("channels", *(column(name) for name in _WANTED.split() if name in columns))
    chosen = select(channels).order_by(channels.c.id)
    with db.read() as connection:
        rows = connection.execute(chosen if which is None else chosen.where(channels.c.id == which)).mappings().all()
    origin, notes = numbering(db), _notes(db)
    return [_row(_opened(db, dict(row)), _numbering(dict(row), origin, notes)) for row in rows]


def disable(db: Database, channel: int, key: str | None, reason: str) -> None:
    """Switch a channel off as the family's programs do it; of several keys only ``key``, and all with the last.

    A channel that is off already, by hand too, stays as it is. ``reason`` and the time are noted in the row.
    """

    def work(connection: Connection) -> None:
        table = core.channels
        row = _held(connection, channel)
        if row is None or row["status"] != ENABLED:
            return
        info = members_of(row["channel_info"])
        multi = _multi(info)
        changes: dict[str, Any] = {}
        off = True
        if key is not None and multi is not None:
            keys = _keys(db.vault.open(row["key"] or "", CHANNEL_KEY), multi)
            bad = [index for index, candidate in enumerate(keys) if candidate == key]
            info = changes["channel_info"] = keys_off(info, bad, reason)
            states = info["multi_key_status_list"]
            off = all(states.get(str(index), ENABLED) != ENABLED for index in range(len(keys)))
        if off:
            changes["status"] = AUTO_DISABLED
            why = {"status_reason": reason, "status_time": int(time.time())}
            changes["other_info"] = with_members(row["other_info"], why)
            connection.execute(
                update(core.abilities).where(core.abilities.c.channel_id == channel).values(enabled=False)
            )
            values = {"channel": channel, "name": str(row["name"] or ""), "reason": reason}
            outbox.happened(db, connection, "channel.aside", values)
        connection.execute(update(table).where(table.c.id == channel).values(**changes))
        revisions.by_itself(db, connection, row, changes)
        trail.changed(db, connection)

    db.write(work)


def enable(db: Database, channel: int, key: str | None) -> bool:
    """Switch on what was switched off by itself: the channel, and of several keys ``key``. False: it was not.

    What an operator switched off stays off. Whatever it failed by before is forgotten by all machines.
    """

    def work(connection: Connection) -> bool:
        table = core.channels
        row = _held(connection, channel)
        if row is None or row["status"] not in (ENABLED, AUTO_DISABLED):
            return False
        info, changes, on = members_of(row["channel_info"]), dict[str, Any](), True
        multi = _multi(info)
        if key is not None and multi is not None:
            keys = _keys(db.vault.open(row["key"] or "", CHANNEL_KEY), multi)
            back = {index for index in multi.by_itself if keys[index : index + 1] == (key,)}
            left = {index: index for index in multi.disabled - back}
            changes |= {"channel_info": keys_kept(info, left)} if back else {}
            on = any(other == key for index, other in enumerate(keys) if index not in multi.disabled - back)
        if row["status"] == AUTO_DISABLED and on:
            changes["status"] = ENABLED
            connection.execute(
                update(core.abilities).where(core.abilities.c.channel_id == channel).values(enabled=True)
            )
            outbox.happened(db, connection, "channel.back", {"channel": channel, "name": str(row["name"] or "")})
        if changes:
            changes["other_info"] = asked_again(row["other_info"])
            connection.execute(update(table).where(table.c.id == channel).values(**changes))
            revisions.by_itself(db, connection, row, changes)
            trail.changed(db, connection)
        return bool(changes)

    return db.write(work)


def _held(connection: Connection, channel: int) -> Any:
    """The row of a channel, which nobody else changes meanwhile."""
    chosen = select(core.channels).where(core.channels.c.id == channel).with_for_update()
    return connection.execute(chosen).mappings().one_or_none()


def keys_of(db: Database, channel: int) -> tuple[str, ...]:
    """The keys of a channel as they stand now; none, where it is not there or they can't be decrypted."""
    table = core.channels
    with db.read() as connection:
        row = connection.execute(select(table).where(table.c.id == channel)).mappings().one_or_none()
    return () if row is None else _row(_opened(db, dict(row)), NEW).keys


def renew_key(db: Database, channel: int, old: str, new: str) -> bool:
    """Put one key of a channel in another's place; False where that is not among its keys any more."""
    table = core.channels

    def work(connection: Connection) -> int:
        row = connection.execute(select(table.c.key).where(table.c.id == channel)).one_or_none()
        text = "" if row is None else _renewed(db.vault.open(row[0] or "", CHANNEL_KEY), old, new)
        if row is None or not text:
            return 0
        mine = (table.c.id == channel, table.c.key == row[0])
        done = connection.execute(update(table).where(*mine).values(key=db.vault.seal(text, CHANNEL_KEY))).rowcount
        trail.changed(db, connection)
        return done

    return bool(db.write(work))


def _renewed(text: str, old: str, new: str) -> str:
    """The text of a channel's keys with one in another's place; empty where that is none of them."""
    if text.strip() == old:
        return new
    listed = read_json(text) if text.strip().startswith("[") else None
    if isinstance(listed, list):
        keys = [key if _as_text(key) != old else new if isinstance(key, str) else orjson.loads(new) for key in listed]
        return "" if keys == listed else orjson.dumps(keys).decode()
    lines = text.splitlines()
    changed = [new if line.strip() == old else line for line in lines]
    return "" if changed == lines else "\n".join(changed)


def _as_text(key: Any) -> str:
    """A key of a JSON list: a text, or an object as text."""
    return key if isinstance(key, str) else orjson.dumps(key).decode()


def set_aside(db: Database, channel: int, until: int) -> bool:
    """Set a channel aside by hand until a moment in unix seconds, or let it be asked again: 0. False: it is not there.

    What it failed by before is forgotten when it is to be asked again, by all machines.
    """

    def work(connection: Connection) -> int:
        table = core.channels
        row = connection.execute(select(table.c.other_info).where(table.c.id == channel)).one_or_none()
        if row is None:
            return 0
        text = orjson.dumps({**members_of(row[0]), ASIDE_UNTIL: until}).decode()
        text = text if until else asked_again(text)
        connection.execute(update(table).where(table.c.id == channel).values(other_info=text))
        trail.changed(db, connection)
        return 1

    return bool(db.write(work))


def _opened(db: Database, row: dict[Any, Any]) -> dict[Any, Any]:
    """The row with its secret as it is sent; one that can't be decrypted is a fault of this row alone."""
    try:
        return {**row, "key": db.vault.open(row.get("key") or "", CHANNEL_KEY)}
    except SealedError as error:
        return {**row, "key": "", "sealed": str(error)}


def numbering(db: Database) -> str:
    """Whose channel types this database holds: ``newApi``, ``oneApi`` or ``mixed``, as noted before it was changed."""
    if facts.name not in db.columns:
        origin = identify(db.columns)
        return origin.numbering if origin else NEW
    with db.read() as connection:
        noted = connection.execute(select(facts.c.value).where(facts.c.name == "numbering")).scalar()
    return str(noted) if noted else NEW


def _notes(db: Database) -> dict[int, tuple[str, int, int]]:
    """What was noted of single rows: numbering, type and time of making, by channel."""
    if channel_origin.name not in db.columns:
        return {}
    noted = channel_origin.c
    with db.read() as connection:
        chosen = select(noted.channel_id, noted.numbering, noted.type, noted.created_time)
        return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(chosen)}


def _numbering(row: dict[Any, Any], origin: str, notes: dict[int, tuple[str, int, int]]) -> str:
    """A note holds for the row it was made of, not for one that was given its id or its type later."""
    marks = row.get("config"), row.get("channel_info"), row.get("other_info")
    note = notes.get(row["id"])
    if note is None or note[2] != (row.get("created_time") or 0):
        return row_numbering(origin, *marks)
    if note[1] == (row["type"] or 0):
        return note[0]
    return NEW if marks[1] is not None or marks[2] is not None else note[0]


class _Columns:
    """The columns of one row, read as what they should hold; ``faults`` are those that hold something else."""

    def __init__(self, row: dict[Any, Any]) -> None:
        self._row = row
        self.faults: list[str] = [row["sealed"]] if "sealed" in row else []

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._row.get(name)
        if value is None or not len(value):
            return {}
        members = read_json(value)
        if isinstance(members, dict):
            return members
        if members is not None or str(value).strip() not in ("", "null"):
            self.faults.append(name)
        return {}

    def texts(self, name: str) -> dict[str, str]:
        members = self.mapping(name)
        if not all(isinstance(value, str) for value in members.values()):
            self.faults.append(name)
        return {key: value for key, value in members.items() if isinstance(value, str)}

    def word(self, name: str) -> str:
        return str(self._row.get(name) or "")

    def number(self, name: str) -> int:
        return int(self._row.get(name) or 0)


def _row(row: dict[Any, Any], numbered: str) -> ChannelRow:
    columns = _Columns(row)
    mapping, word, number = columns.mapping, columns.word, columns.number
    multi, noted = _multi(mapping("channel_info")), mapping("other_info")
    return ChannelRow(
        id=row["id"],
        type=number("type"),
        numbering=numbered,
        status=number("status"),
        name=word("name"),
        keys=_keys(word("key"), multi),
        models=tuple(dict.fromkeys(comma(row.get("models")))),
        groups=tuple(dict.fromkeys(comma(row.get("group")))) or ("default",),
        priority=number("priority"),
        weight=max(0, number("weight")),
        base_url=word("base_url").strip(),
        other=word("other"),
        organization=word("open_ai_organization"),
        model_mapping=columns.texts("model_mapping"),
        status_code_mapping=_statuses(mapping("status_code_mapping")),
        param_override=mapping("param_override"),
        header_override=mapping("header_override"),
        system_prompt=word("system_prompt"),
        setting=mapping("setting"),
        settings=mapping("settings"),
        config=mapping("config"),
        multi=multi,
        auto_ban=number("auto_ban") == 1,
        tag=word("tag"),
        test_model=word("test_model"),
        test_time=number("test_time"),
        response_time=number("response_time"),
        aside_until=float(_moment(noted.get(ASIDE_UNTIL))),
        asked_again=_moment(noted.get(ASKED_AGAIN)),
        faults=tuple(columns.faults),
    )


def _moment(value: Any) -> int:
    """Unix seconds of a note; 0 where it is none."""
    return value if isinstance(value, int) and 0 < value < _LAST else 0


def _multi(info: dict[str, Any]) -> MultiKey | None:
    if info.get("is_multi_key") is not True:
        return None
    listed = info.get("multi_key_status_list")
    states = listed.items() if isinstance(listed, dict) else ()
    off = {int(index): state for index, state in states if _is_number(str(index)) and state != ENABLED}
    by_itself = frozenset(index for index, state in off.items() if state == AUTO_DISABLED)
    return MultiKey("polling" if info.get("multi_key_mode") == "polling" else "random", frozenset(off), by_itself)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _keys(text: str, multi: MultiKey | None) -> tuple[str, ...]:
    """The keys of a channel; only a multi-key channel has several, one per line or in a JSON list."""
    text = text.strip()
    if multi is None:
        return (text,) if text else ()
    if text.startswith("["):
        try:
            listed = orjson.loads(text)
        except orjson.JSONDecodeError:
            listed = None
        if isinstance(listed, list):
            return tuple(_as_text(key) for key in listed)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _statuses(statuses: dict[str, Any]) -> dict[int, int]:
    texts = {str(a): str(b) for a, b in statuses.items()}
    return {int(a): int(b) for a, b in texts.items() if _is_number(a) and _is_number(b)}
