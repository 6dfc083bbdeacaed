"""What a machine has set aside is told to the others through Redis; while Redis is away, each goes on alone.

All changes stand in one stream, which is of bounded length and ends a day after the last: whoever begins reads it
whole, then waits for what is added, in a thread of its own. So choosing a channel asks nobody; Redis is written to when
something failed, answers again, or is probed. Failures are counted there, and one machine alone may probe. Going away
and coming back are each told in one line of the log. Clocks of the machines have to agree within a second or so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson

from engine.cluster.aside import Change
from engine.cluster.redis import PREFIX, Redis, RedisError, Script
from engine.cluster.veil import Veil

log = logging.getLogger(__name__)
_STREAM = f"{PREFIX}aside"
_LENGTH = 4_096
"""Changes that are kept: more than are made in the longest cool-down of a cluster in trouble."""
_DAY = 86_400
_WAIT = 5.0
"""Seconds for which one reading waits for something new."""
_AGAIN = 1.0
"""Seconds for which Redis is not asked after it failed."""
_COUNT = Script("""
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
""")


class Announcements:
    """See the module; ``engine.cluster.aside.Peers``. ``follow`` begins to listen, ``close`` ends it."""

    def __init__(self, url: str, veil: Veil) -> None:
        self._redis, self._veil = Redis(url), veil
        self._listening = Redis(url, timeout=2 * _WAIT)
        self._away_until = 0.0
        self._away = False
        self._closed = threading.Event()

    def follow(self, apply: Callable[[Change], None]) -> None:
        """Hand on what all machines tell, from now on and of the last day; from a thread of its own."""
        threading.Thread(target=self._listen, args=(apply,), name="aside", daemon=True).start()

    def count(self, name: str, window: float) -> int | None:
        """Count a failure; how many there were within the window, or None where Redis is away."""
        key = self._failures(name)
        count = self._asked(lambda: self._redis.call(_COUNT, [key], max(1, round(window * 1000))))
        return None if count is None else int(count)

    def claim(self, name: str, until: float, seconds: float) -> bool | None:
        """Whether this machine alone probes; None where Redis is away."""
        key, lasts = f"{PREFIX}probe:{self._veil.name(name)} {until}", round(seconds * 1000)
        replies = self._asked(lambda: self._redis.run(("SET", key, 1, "NX", "PX", lasts)))
        return None if replies is None else replies[0] is not None

    def announce(self, change: Change) -> None:
        """Tell all machines; what is forgotten is not counted any more either."""
        body = orjson.dumps([change.name, change.until, change.times, change.ends])
        commands: list[tuple[str | bytes | int, ...]] = [
            ("XADD", _STREAM, "MAXLEN", "~", _LENGTH, "*", "change", self._veil.seal(body, _STREAM)),
            ("EXPIRE", _STREAM, _DAY),
        ]
        if not change.ends:
            commands.append(("DEL", self._failures(change.name)))
        self._asked(lambda: self._redis.run(*commands))

    def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        self._redis.close()
        self._listening.close()

    def _failures(self, name: str) -> str:
        return f"{PREFIX}failures:{self._veil.name(name)}"

    def _asked(self, ask: Callable[[], Any]) -> Any:
        if self._away and time.monotonic() < self._away_until:
            return None
        try:
            reply = ask()
        except RedisError as error:
            self._lost(error)
            return None
        self._found()
        return reply

    def _listen(self, apply: Callable[[Change], None]) -> None:
        last: str | bytes = "0"
        while not self._closed.is_set():
            try:
                reply = self._listening.run(("XREAD", "BLOCK", round(_WAIT * 1000), "STREAMS", _STREAM, last))[0]
            except RedisError as error:
                self._lost(error)
                self._closed.wait(_AGAIN)
                continue
            self._found()
            changes: dict[str, Change] = {}
            for number, fields in reply[0][1] if reply else ():
                last = number
                body = self._veil.open(fields[1], _STREAM)
                if body is not None:  # else it is of a time with another secret
                    change = Change(*orjson.loads(body))
                    changes[change.name] = change  # of those that came together the last alone counts
            for change in changes.values():
                apply(change)

    def _lost(self, error: RedisError) -> None:
        self._away_until = time.monotonic() + _AGAIN
        if not self._away and not self._closed.is_set():
            self._away = True
            log.warning("channels are set aside by this machine alone: %s", error)

    def _found(self) -> None:
        if self._away:
            self._away = False
            log.warning("Redis is back: what is set aside is told to all machines again")
