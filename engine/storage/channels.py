"""The ``channels`` table as the router wants it: one frozen row each, whatever program and age wrote it.

``load(db)`` gives all channels. Reading is lenient (NULL, empty text and JSON that can't be read count as nothing and
are named in ``faults``): one bad row must not take the others with it. Says by which numbering a row's type counts;
which provider a number means is for the documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import column, select
from sqlalchemy import table as sql_table

from engine.storage.accounts import comma
from engine.storage.database import Database
from engine.storage.origin import NEW, row_numbering
from engine.storage.tables.columns import read_json
from engine.storage.tables.own import channel_origin, facts
from engine.storage.vault import CHANNEL_KEY, SealedError

ENABLED, BY_HAND, BY_PROGRAM = 1, 2, 3


@dataclass(frozen=True, slots=True)
class MultiKey:
    """How a channel of several keys uses them: ``random`` or ``polling``, without the disabled ones (by index)."""

    mode: str
    disabled: frozenset[int]


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
    faults: tuple[str, ...]


_WANTED = (
    "id type status name key models group priority weight base_url other open_ai_organization model_mapping"
    " status_code_mapping param_override header_override system_prompt setting settings config channel_info other_info"
    " auto_ban tag test_model test_time response_time created_time"
)


def load(db: Database) -> list[ChannelRow]:
    """All channels, by id."""
    there = db.columns.get("channels", frozenset())
    own = sql_table("channels", *(column(name) for name in _WANTED.split() if name in there))
    with db.read() as connection:
        rows = connection.execute(select(own).order_by(own.c.id)).mappings().all()
    origin, notes = numbering(db), _notes(db)
    return [_row(_opened(db, dict(row)), _numbering(dict(row), origin, notes)) for row in rows]


def _opened(db: Database, row: dict[Any, Any]) -> dict[Any, Any]:
    """The row with its secret as it is sent; one that can't be decrypted is a fault of this row alone."""
    try:
        return {**row, "key": db.vault.open(row.get("key") or "", CHANNEL_KEY)}
    except SealedError as error:
        return {**row, "key": "", "sealed": str(error)}


def numbering(db: Database) -> str:
    """Whose channel types this database holds: ``newApi``, ``oneApi`` or ``mixed``, as noted before it was changed."""
    with db.read() as connection:
        found = connection.execute(select(facts.c.value).where(facts.c.name == "numbering")).scalar()
    return str(found) if found else NEW


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


def _row(row: dict[Any, Any], numbered: str) -> ChannelRow:
    faults: list[str] = [row["sealed"]] if "sealed" in row else []

    def mapping(name: str) -> dict[str, Any]:
        value = row.get(name)
        if value is None or not len(value):
            return {}
        found = read_json(value)
        if not isinstance(found, dict):
            if found is not None or str(value).strip() not in ("", "null"):
                faults.append(name)
            return {}
        return found

    def texts(name: str) -> dict[str, str]:
        found = mapping(name)
        if not all(isinstance(value, str) for value in found.values()):
            faults.append(name)
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def word(name: str) -> str:
        return str(row.get(name) or "")

    def number(name: str) -> int:
        return int(row.get(name) or 0)

    info = mapping("channel_info")
    multi = _multi(info)
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
        model_mapping=texts("model_mapping"),
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
        faults=tuple(faults),
    )


def _multi(info: dict[str, Any]) -> MultiKey | None:
    if info.get("is_multi_key") is not True:
        return None
    listed = info.get("multi_key_status_list")
    states = listed.items() if isinstance(listed, dict) else ()
    disabled = frozenset(int(index) for index, state in states if _is_number(str(index)) and state != ENABLED)
    return MultiKey("polling" if info.get("multi_key_mode") == "polling" else "random", disabled)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _keys(text: str, multi: MultiKey | None) -> tuple[str, ...]:
    """The keys of a channel; only a multi-key channel has several, one per line or in a JSON list."""
    text = text.strip()
    if multi is None:
        return (text,) if text else ()
    if text.startswith("["):
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, list):
            return tuple(key if isinstance(key, str) else orjson.dumps(key).decode() for key in found)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _statuses(found: dict[str, Any]) -> dict[int, int]:
    whole = {str(a): str(b) for a, b in found.items()}
    return {int(a): int(b) for a, b in whole.items() if _is_number(a) and _is_number(b)}
