"""What was made of the same input before: clients send the same definitions of tools with every turn.

Takes keys and what to keep under them; forgets everything when the keys grow too large. Values are shared by requests
and never changed. Safe for threads: two that make the same thing at once make it twice.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import orjson

_Value = TypeVar("_Value")
MOST_BYTES = 4 << 20
MOST_TEXT = 256 << 10
"""Longer definitions are made anew each time."""


def text_of(value: Any) -> bytes | None:
    """The value as text that no other value has; nothing where it is too long or can't be said.

    PERF: a third of checking what is said; NaN, which would read as null, is refused at the door.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        return None
    return text if len(text) <= MOST_TEXT else None


class Known(Generic[_Value]):
    """A bounded memory, by the owner (compared by identity: a target's rules, which are never changed) and a text."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._size = 0
        self._kept: dict[tuple[int, bytes], tuple[object, _Value]] = {}

    def get(self, owner: object, text: bytes) -> _Value | None:
        """What was kept, if anything."""
        entry = self._kept.get((id(owner), text))
        return entry[1] if entry is not None and entry[0] is owner else None

    def put(self, owner: object, text: bytes, value: _Value) -> None:
        """Keep a value; the owner is kept too, so that its identity is nobody else's."""
        if self._size + len(text) > self._most:
            self._kept.clear()
            self._size = 0
        self._size += len(text)
        self._kept[id(owner), text] = (owner, value)
