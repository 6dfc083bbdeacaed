"""The keys of a channel of several: what state each is in, switching one or all, deleting.

States are kept by position (``multi_key_status_list``): 1 on, 2 off by hand, 3 off by the system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.catalogue import channels
from engine.errors import Conflict, Invalid
from engine.storage.database import Database
from engine.storage.rows import channel_edits as rows
from engine.storage.rows.crud import Row
from engine.storage.rows.work.noted import KEY_STATES, asked_again, keys_kept, keys_off
from engine.storage.values import DISABLED, ENABLED
from engine.texts import refusal

_BY_SYSTEM = 3


def _states(state: Mapping[str, Any], count: int) -> list[int]:
    listed = state.get("multi_key_status_list") or {}
    return [int(listed.get(str(index), ENABLED)) for index in range(count)]


def _kept(state: dict[str, Any], states: list[int], were: Sequence[int] | None = None) -> dict[str, Any]:
    """A channel's state with these states of its keys; ``were`` are the positions that they had."""
    places = list(range(len(states))) if were is None else were
    before = _states(state, max(places, default=0) + 1)
    fresh = [place for place, status in zip(places, states, strict=True) if ENABLED != status != before[place]]
    noted = keys_off(state, fresh, "", DISABLED)
    off = {index: places[index] for index, status in enumerate(states) if status != ENABLED}
    return {**keys_kept(noted, off), "multi_key_size": len(states)}


def shown(db: Database, which: int, status: int | None, page: int, size: int) -> dict[str, Any]:
    """A page of the keys' states; of a key no more than its last four characters."""
    _, state, keys = channels.multi(db, which)
    states = _states(state, len(keys))
    listed = [
        {
            "index": index,
            "status": key_status,
            "key_preview": f"...{keys[index][-4:]}" if len(keys[index]) > 8 else "...",
            **_why(state, index, key_status),
        }
        for index, key_status in enumerate(states)
        if status is None or key_status == status
    ]
    page, size = max(page, 1), min(max(size, 1), 100)
    return {
        "keys": listed[(page - 1) * size : page * size],
        "total": len(listed),
        "page": page,
        "page_size": size,
        "total_pages": max(1, -(-len(listed) // size)),
        "enabled_count": states.count(ENABLED),
        "manual_disabled_count": states.count(DISABLED),
        "auto_disabled_count": states.count(_BY_SYSTEM),
    }


def _why(state: Mapping[str, Any], index: int, status: int) -> dict[str, Any]:
    """Why a key is off, and since when, where that is known."""
    if status == ENABLED:
        return {}
    _, reasons, moments = (state.get(name) or {} for name in KEY_STATES)
    return {"reason": reasons.get(str(index)) or "", "disabled_time": moments.get(str(index)) or 0}


def switch(db: Database, which: int, index: int | None, *, on: bool) -> None:
    """Switch one key."""
    row, state, keys = channels.multi(db, which)
    states = _states(state, len(keys))
    states[_index(index, keys)] = ENABLED if on else DISABLED
    rows.change(db, {which: {"channel_info": _kept(state, states), **_again(row, on=on)}})


def _again(row: Row, *, on: bool) -> Row:
    """What is switched on by hand is asked at once, whatever it was switched off for."""
    return {"other_info": asked_again(row.get("other_info"))} if on else {}


def _index(index: int | None, keys: list[str]) -> int:
    if index is None:
        raise refusal(Invalid, "channel.no_index", field="key_index")
    if not 0 <= index < len(keys):
        raise refusal(Invalid, "channel.index", field="key_index")
    return index


def switch_all(db: Database, which: int, *, on: bool) -> int:
    """Switch all keys; how many changed."""
    row, state, keys = channels.multi(db, which)
    before, after = _states(state, len(keys)), [ENABLED if on else DISABLED] * len(keys)
    rows.change(db, {which: {"channel_info": _kept(state, after), **_again(row, on=on)}})
    return sum(old != new for old, new in zip(before, after, strict=True))


def delete(db: Database, which: int, index: int | None) -> None:
    """Delete one key, but not the last."""
    _, state, keys = channels.multi(db, which)
    number = _index(index, keys)
    if len(keys) == 1:
        raise refusal(Conflict, "channel.key.last")
    states, were = _states(state, len(keys)), list(range(len(keys)))
    del keys[number], states[number], were[number]
    rows.change(db, {which: {"key": "\n".join(keys), "channel_info": _kept(state, states, were)}})


def delete_off(db: Database, which: int) -> int:
    """Delete the keys that the system has switched off; how many."""
    _, state, keys = channels.multi(db, which)
    states = _states(state, len(keys))
    were = [index for index, status in enumerate(states) if status != _BY_SYSTEM]
    gone = len(keys) - len(were)
    if not gone or not were:
        raise refusal(Conflict, "channel.keys.none")
    info = _kept(state, [states[index] for index in were], were)
    values = {"key": "\n".join(keys[index] for index in were), "channel_info": info}
    rows.change(db, {which: values})
    return gone
