"""Pause: a call waits for a time of its own between two attempts; whoever leaves meanwhile is not waited for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from engine.transport.leg import Handle

if TYPE_CHECKING:
    from engine.relay.call import Call
    from engine.relay.live import Live
    from engine.transport.waiting import Waiting


def pause(live: Live, call: Call, seconds: float, tick: float) -> Waiting[bool]:
    """Wait, giving way after each ``tick`` seconds (0: never); gives whether it came to its end."""
    over, handle = threading.Event(), Handle()
    handle.ender = over.set
    leave = live.enter(handle, call.watch)
    end = time.monotonic() + seconds
    try:
        while not handle.aborted and (left := end - time.monotonic()) > 0:
            if not over.wait(min(left, tick) if tick else left) and tick and time.monotonic() < end:
                yield
    finally:
        leave()
    return not handle.aborted
