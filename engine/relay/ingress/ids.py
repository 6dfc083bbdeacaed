"""Request ids."""

from __future__ import annotations

import os
import time

_RANDOM = 10
_AT_ONCE = 400
_left: list[str] = []
os.register_at_fork(after_in_child=_left.clear)


def fresh_id() -> str:
    """A request id. Later ones sort after earlier ones, so that an index of them grows at its end.

    PERF: random bytes come for forty ids at once, as each asking is a call of the system.
    """
    try:
        mine = _left.pop()
    except IndexError:
        data = os.urandom(_AT_ONCE)
        _left.extend(data[at : at + _RANDOM].hex() for at in range(0, _AT_ONCE, _RANDOM))
        mine = _left.pop()
    return f"{time.time_ns() // 1_000_000:012x}{mine}"
