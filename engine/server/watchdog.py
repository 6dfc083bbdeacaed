"""The watchdog: tells when one piece of work held up a worker, that is all of its streams and callers.

A thread of the system's own looks again and again whether the hub has turned. If it has not, and its thread has used so
much of the processor meanwhile, that is a stall: it does not depend on how busy the machine is. Costs the requests
nothing, as the loop counts its turns by itself; each look costs the worker some 70 us.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.monkey import get_original

_LOOKS = 4
"""How often it looks in the time that a piece of work may take."""
SAID_EVERY = 60.0
_DEPTH = 6
_thread: Callable[..., int] = get_original("_thread", "start_new_thread")
_ident: Callable[[], int] = get_original("_thread", "get_ident")
_sleep: Callable[[float], None] = get_original("time", "sleep")


@dataclass(slots=True)
class Stalls:
    """What was seen: how many stalls, the longest in milliseconds of the processor's time."""

    count: int = 0
    longest_ms: int = 0


class Watchdog:
    """Watches the hub of the thread that makes it. ``most_ms`` is what a piece of work may take."""

    def __init__(self, log: logging.Logger, most_ms: int) -> None:
        self.stalls = Stalls()
        self._log = log
        self._most = most_ms / 1000
        self._pause = self._most / _LOOKS
        self._loop: Any = gevent.get_hub().loop
        self._ident = _ident()
        self._clock = time.pthread_getcpuclockid(self._ident)
        self._said = -SAID_EVERY
        self._ended = False

    def start(self) -> None:
        """Begin to watch."""
        _thread(self._run, ())

    def stop(self) -> None:
        """Watch no more."""
        self._ended = True

    def _run(self) -> None:
        turns, since, place = self._loop.iteration, time.clock_gettime(self._clock), ""
        while not self._ended:
            _sleep(self._pause)
            now = time.clock_gettime(self._clock)
            if self._loop.iteration == turns:
                if now - since > self._most / 2:
                    place = place or self._place()
                continue
            if now - since > self._most:
                self._note(now - since, place)
            turns, since, place = self._loop.iteration, now, ""

    def _note(self, seconds: float, place: str) -> None:
        self.stalls.count += 1
        self.stalls.longest_ms = max(self.stalls.longest_ms, round(seconds * 1000))
        if time.monotonic() - self._said > SAID_EVERY:
            self._said = time.monotonic()
            self._log.warning(
                "one piece of work held up this worker for %d ms of the processor's time (%d such so far): %s",
                round(seconds * 1000),
                self.stalls.count,
                place or "it is not known where",
            )

    def _place(self) -> str:
        """Where the hub's thread is, by functions and lines: nothing of what it works on."""
        frame = sys._current_frames().get(self._ident)
        steps = traceback.extract_stack(frame)[-_DEPTH:] if frame is not None else []
        return " > ".join(f"{step.filename.rpartition('/')[2]}:{step.name}:{step.lineno}" for step in steps)
