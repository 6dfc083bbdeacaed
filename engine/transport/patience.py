"""Waits for a socket's next bytes under gevent, with one timer for all waits instead of one for each.

``wait(watcher, seconds)`` ends when the watcher's socket has something, or when its time is over, at most ``STEP``
seconds late. PERF: a wait by the socket itself tries to read first, which fails, and makes a timer: 28 us of CPU for
a small exchange instead of 18. One per hub; knows nothing of what is read.
"""

from __future__ import annotations

import sys
import time
from typing import Any

STEP = 0.25
LEAST = 2.0
"""Seconds: a shorter limit wants a timer of its own."""
_READ = 1


class Patience:
    """See the module. All of it happens in one hub's thread, so nothing runs between a check and what follows."""

    __slots__ = ("_ends", "_hub", "_make", "_timer")

    def __init__(self, hub: Any) -> None:
        from gevent.hub import Waiter

        self._hub = hub
        self._make = Waiter
        self._ends: dict[Any, float] = {}
        self._timer: Any = None

    def watcher(self, fileno: int) -> Any:
        """What tells that a descriptor can be read; to be closed before that is."""
        return self._hub.loop.io(fileno, _READ)

    def wait(self, watcher: Any, seconds: float | None) -> bool:
        """Whether there is something to read, or the peer has gone; false when the time is over first."""
        waiter = self._make(self._hub)
        if seconds is not None:
            self._ends[waiter] = time.monotonic() + seconds
            if self._timer is None:
                self._timer = self._hub.loop.timer(STEP, STEP)
                self._timer.start(self._look)
        watcher.start(waiter.switch, True)
        try:
            return bool(waiter.get())
        finally:
            watcher.stop()
            self._ends.pop(waiter, None)

    def _look(self) -> None:
        """In the hub: end what has waited too long; the timer goes when nobody waits."""
        now = time.monotonic()
        for waiter, end in list(self._ends.items()):
            if end <= now:
                waiter.switch(False)
        if not self._ends and self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None


def patience() -> Patience | None:
    """The one of this thread's hub; none where sockets are not gevent's."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return None
    hub = sys.modules["gevent"].get_hub()
    if hub not in _of_hub:
        _of_hub[hub] = Patience(hub)
    return _of_hub[hub]


_of_hub: dict[Any, Patience] = {}
