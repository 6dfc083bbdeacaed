"""What is noted of a channel in its JSON columns: members of ``other_info``, and the states of several keys.

Other programs of the family leave members that they do not know as they are. States of keys stand by position, as
theirs do, each with the reason and the moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from engine.storage.tables.columns import read_json
from engine.storage.values import AUTO_DISABLED

ASIDE_UNTIL, ASKED_AGAIN, TEST_FAULT = "aside_until", "asked_again", "test_fault"
KEY_STATES = ("multi_key_status_list", "multi_key_disabled_reason", "multi_key_disabled_time")


def members_of(text: Any) -> dict[str, Any]:
    """A JSON column's object; empty where it is none."""
    value = read_json(text) if text else None
    return value if isinstance(value, dict) else {}


def with_members(text: Any, members: Mapping[str, Any]) -> str:
    """``other_info`` with these members; those that are empty go."""
    whole = {**members_of(text), **members}
    return orjson.dumps({name: value for name, value in whole.items() if value != ""}).decode()


def without_fault(text: Any) -> str:
    """``other_info`` as it is without what the last test of the channel met."""
    if TEST_FAULT not in members_of(text):
        return str(text or "")
    rest = with_members(text, {TEST_FAULT: ""})
    return "" if rest == "{}" else rest


def fault_of(text: Any) -> str:
    """What the last test of the channel met; empty where it was answered."""
    return str(members_of(text).get(TEST_FAULT) or "")


def asked_again(text: Any) -> str:
    """``other_info`` that says: whatever the channel failed by until now is forgotten."""
    return with_members(text, {ASKED_AGAIN: int(time.time())})


def keys_off(
    info: Mapping[str, Any], indexes: Iterable[int], reason: str, state: int = AUTO_DISABLED
) -> dict[str, Any]:
    """``channel_info`` with these keys off, by what and since now."""
    tables = [dict(info.get(name) or {}) for name in KEY_STATES]
    for index in map(str, indexes):
        for table, value in zip(tables, (state, reason, int(time.time())), strict=True):
            table[index] = value
    return {**info, **dict(zip(KEY_STATES, tables, strict=True))}


def keys_kept(info: Mapping[str, Any], off: Mapping[int, int]) -> dict[str, Any]:
    """``channel_info`` where the keys of ``off`` alone are off: by their new positions, the positions they had."""
    kept = {}
    for name in KEY_STATES:
        table = info.get(name) or {}
        if (states := {str(new): table[str(old)] for new, old in off.items() if str(old) in table}) or name in info:
            kept[name] = states or None
    return {**info, **kept}
