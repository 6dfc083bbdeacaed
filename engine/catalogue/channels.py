"""Channels made and changed by administrators: what a body may say, how several keys become channels or one.

Takes members as the family's programs name them, gives rows of columns. JSON inside of texts is taken as text or as the
object itself. A name, model list or group list can't be emptied; nothing here calls anybody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine import paths
from engine.errors import Conflict, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import channel_edits as rows
from engine.storage.rows.crud import Guard, Row
from engine.storage.values import DISABLED, ENABLED
from engine.texts import refusal

RENAMED: dict[str, str] = orjson.loads((paths.CATALOGUE / "kinds.json").read_bytes())["columns"]
"""Members whose columns have another name."""
TEXTS = {
    **dict.fromkeys(RENAMED, 255),
    "name": 191,
    "models": 60_000,
    "group": 64,
    "base_url": 191,
    "other": 60_000,
    "test_model": 255,
    "tag": 191,
    "remark": 255,
}
OBJECTS = {
    "model_mapping": 60_000,
    "status_code_mapping": 1024,
    "setting": 60_000,
    "settings": 60_000,
    "param_override": 60_000,
    "header_override": 60_000,
}
NUMBERS = {"type": (0, 1000), "priority": (-(2**53), 2**53), "weight": (0, 2**31), "auto_ban": (0, 1)}
SENSITIVE = frozenset(
    (
        *RENAMED,
        "type",
        "key",
        "base_url",
        "param_override",
        "header_override",
        "setting",
        "settings",
        "other",
    )
)
"""What only root may change: an administrator could send the keys elsewhere."""
_KEPT = ("name", "models", "group", "other")
_MODEL, _KEYS, _MOST = 255, 1000, 100
_REGIONAL, _JSON_KEYS = 41, (41, 57)
"""The type whose place is a list of regions; those whose key is a JSON document."""


def values_of(body: Mapping[str, Any], *, fresh: bool) -> dict[str, Any]:
    """The columns that a body sets, checked; a missing member changes nothing."""
    values: dict[str, Any] = {}
    for name, most in TEXTS.items():
        text = body.get(name)
        if text is None or (not fresh and name in _KEPT and not text):
            continue
        if not isinstance(text, str) or len(text) > most or "\0" in text:
            raise refusal(Invalid, "invalid.field", field=name, what=f"a text of {most} characters at most")
        values[RENAMED.get(name, name)] = text
    for name, most in OBJECTS.items():
        value = body.get(name)
        if value is not None:
            values[name] = object_text(name, value, most)
    for name, (low, high) in NUMBERS.items():
        number = body.get(name)
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise refusal(Invalid, "invalid.type", field=name, what=f"a whole number from {low} to {high}")
        values[name] = number
    _models(values)
    return values


def object_text(name: str, value: Any, most: int) -> str:
    """A JSON object as the text that is kept; raises ``Invalid`` where it is none."""
    if isinstance(value, str):
        text = value
        if not text.strip():
            return ""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise refusal(Invalid, "channel.json", field=name) from None
    else:
        text = orjson.dumps(value).decode()
    if not isinstance(value, dict) or len(text) > most:
        raise refusal(Invalid, "channel.json", field=name)
    return text


def _models(values: dict[str, Any]) -> None:
    for model in values.get("models", "").split(","):
        if len(model.strip()) > _MODEL:
            raise refusal(Invalid, "invalid.field", field="models", what=f"names of {_MODEL} characters at most")


def keys_of(text: str, kind: int) -> list[str]:
    """The keys of a text: one a line, or of a type whose keys are JSON the members of a list."""
    text = text.strip()
    if kind in _JSON_KEYS and text.startswith("["):
        try:
            listed = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise refusal(Invalid, "channel.json", field="key") from None
        keys = [key if isinstance(key, str) else orjson.dumps(key).decode() for key in listed]
    elif kind in _JSON_KEYS:
        keys = [text] if text else []
    else:
        keys = [line.strip() for line in text.splitlines() if line.strip()]
    if len(keys) > _KEYS:
        raise refusal(Invalid, "invalid.field", field="key", what=f"{_KEYS} keys at most")
    return keys


def create(db: Database, mode: str, body: Mapping[str, Any], way: str, *, prefix: bool) -> list[int]:
    """Make one channel, one for each key, or one of several keys; their ids."""
    if mode not in ("single", "batch", "multi_to_single"):
        raise refusal(Invalid, "channel.mode", field="mode")
    key = body.get("key")
    if not isinstance(key, str) or not key.strip():
        raise refusal(Invalid, "channel.empty", field="key")
    values = values_of(body, fresh=True)
    kind = values.get("type", 0)
    if kind == _REGIONAL:
        _regions(values.get("other", ""))
    keys = keys_of(key, kind) if mode != "single" else [key.strip()]
    row = {
        "type": 0,
        "name": "",
        "models": "",
        "group": "default",
        "base_url": "",
        "other": "",
        "weight": 0,
        "priority": 0,
        "auto_ban": 1,
        "status_code_mapping": "",
        "settings": "",
        **values,
        "status": body["status"] if body.get("status") in (ENABLED, DISABLED) else ENABLED,
        "created_time": int(time.time()),
        "test_time": 0,
        "response_time": 0,
        "balance": 0,
        "balance_updated_time": 0,
        "used_quota": 0,
        "other_info": "",
        "channel_info": info(),
    }
    if mode == "multi_to_single":
        row["channel_info"] = info(len(keys), "polling" if way == "polling" else "random")
        return rows.put(db, [{**row, "key": "\n".join(keys)}])
    name = row["name"]
    new_rows = [
        {**row, "key": secret, "name": f"{name} {number}" if prefix else name} for number, secret in enumerate(keys, 1)
    ]
    return rows.put(db, new_rows)


def info(size: int = 0, way: str = "") -> dict[str, Any]:
    """What a channel says of its several keys; of none, it has one."""
    return {
        "is_multi_key": size > 0,
        "multi_key_size": size,
        "multi_key_status_list": None,
        "multi_key_polling_index": 0,
        "multi_key_mode": way,
    }


def _regions(other: str) -> None:
    try:
        good = "default" in orjson.loads(other) if other else False
    except (orjson.JSONDecodeError, TypeError):
        good = False
    if not good:
        raise refusal(Invalid, "channel.region", field="other")


def get(db: Database, which: int) -> Row:
    """A channel by id."""
    row = rows.one(db, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    return row


def change(db: Database, which: int, body: Mapping[str, Any], guard: Guard | None = None) -> Row:
    """Change what is given of a channel."""
    row = get(db, which)
    values = values_of(body, fresh=False)
    if body.get("status") in (ENABLED, DISABLED):
        values["status"] = body["status"]
    state = dict(info_of(row))
    if body.get("multi_key_mode") in ("random", "polling") and state.get("is_multi_key"):
        values["channel_info"] = state = {**state, "multi_key_mode": body["multi_key_mode"]}
    key = body.get("key")
    if isinstance(key, str) and key.strip():
        keys = keys_of(key, row.get("type") or 0)
        if state.get("is_multi_key"):
            if body.get("key_mode") == "append":
                keys = list(dict.fromkeys([*keys_of(row["key"], row.get("type") or 0), *keys]))
            values["channel_info"] = {**state, "multi_key_size": len(keys)}
            values["key"] = "\n".join(keys)
        else:
            values["key"] = key.strip()
    rows.change(db, {which: values}, guard=guard)
    return get(db, which)


def info_of(row: Row) -> Mapping[str, Any]:
    """What a row says of its several keys, whichever way the engine kept it."""
    value = row.get("channel_info")
    if isinstance(value, str | bytes | bytearray | memoryview):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = None
    return {**info(), **value} if isinstance(value, dict) else info()


def copy(db: Database, which: int, suffix: str, *, reset: bool) -> int:
    """Make a channel like another, keys and all; its id."""
    row = get(db, which)
    values = {**row, "name": (row.get("name") or "")[:150] + suffix[:40], "created_time": int(time.time())}
    values |= {"test_time": 0, "response_time": 0, "channel_info": dict(info_of(row))}
    if reset:
        values |= {"balance": 0, "used_quota": 0}
    del values["id"]
    return rows.put(db, [values])[0]


def change_tag(db: Database, tag: str, body: Mapping[str, Any]) -> int:
    """Change all channels of a tag; how many."""
    if not tag:
        raise refusal(Invalid, "channel.tag", field="tag")
    values: dict[str, Any] = {}
    fields = {
        name: body[name] for name in ("priority", "weight", "model_mapping", "models") if body.get(name) is not None
    }
    if body.get("groups"):
        fields["group"] = body["groups"]
    values = values_of(fields, fresh=False)
    for name in ("param_override", "header_override"):
        if body.get(name):
            values[name] = object_text(name, body[name], OBJECTS[name])
    if body.get("new_tag") is not None:
        values["tag"] = body["new_tag"][: TEXTS["tag"]] or None
    listed = rows.tagged(db, tag)
    return rows.change(db, {row["id"]: values for row in listed}) if values else 0


def set_status(db: Database, listed: Sequence[Row], status: int) -> int:
    """Switch channels on or off by hand; how many changed."""
    if status not in (ENABLED, DISABLED):
        raise refusal(Invalid, "invalid.field", field="status", what="1 or 2")
    changed = {row["id"]: {"status": status} for row in listed if row.get("status") != status}
    return rows.change(db, changed) if changed else 0


def ids_of(value: Any) -> list[int]:
    """A list of ids; raises ``Invalid`` where it is none, is empty or too long."""
    good = isinstance(value, list) and value and len(value) <= _MOST * 10
    if not good or any(
        isinstance(number, bool) or not isinstance(number, int) or abs(number) >= 2**63 for number in value
    ):
        raise refusal(Invalid, "invalid")
    return list(value)


def multi(db: Database, which: int) -> tuple[Row, dict[str, Any], list[str]]:
    """A channel of several keys, what it says of them, and the keys."""
    row = get(db, which)
    state = dict(info_of(row))
    if not state.get("is_multi_key"):
        raise refusal(Conflict, "channel.multi")
    return row, state, keys_of(row["key"], row.get("type") or 0)
