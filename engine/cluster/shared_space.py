"""Small values by key that several machines share, in Redis; while Redis is away, each machine's own.

``SharedSpace`` answers as a ``Space`` does. A question may go up with something else that Redis is asked for
(``question``, and its reply to ``get``), so that it costs no round trip of its own. What is put is written beside the
caller, in groups, by a thread; the same value again only when a sixteenth of its time is over. So a value is the
machine's own at once and the others' within milliseconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from engine.cluster.redis import PREFIX, Command, Redis, RedisError

if TYPE_CHECKING:
    from engine.cluster.store import Space
    from engine.cluster.veil import Veil

log = logging.getLogger(__name__)
_AGAIN = 1.0
"""Seconds for which Redis is not asked after it failed."""
_WAITING = 10_000
"""Values that wait to be written; the oldest gives way, and is the machine's own alone."""
_GROUP = 100
_RENEWED = 16
UNASKED = object()


class SharedSpace:
    """See the module."""

    def __init__(self, redis: Redis, own: Space, name: str, veil: Veil) -> None:
        self._redis, self._own, self._name, self._veil = redis, own, name, veil
        self._away = self._closed = False
        self._away_until = 0.0
        self._fresh: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        """What this process wrote lately, and until when it need not be written again."""
        self._waiting: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._writer: threading.Thread | None = None

    def question(self, key: str) -> Command | None:
        """What Redis is to be asked; nothing while it is away."""
        return None if self._silent() else ("GET", self._place(key))

    def get(self, key: str, reply: Any = UNASKED) -> bytes | None:
        """The value, where ``reply`` is what came to ``question``; else Redis is asked now."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            return waiting[0]
        if reply is UNASKED:
            reply = self._asked(key)
        value = self._veil.open(reply, self._place(key)) if isinstance(reply, bytes) else None
        if value is None:
            return self._own.get(key)
        known = self._fresh.get(key)
        if known is not None and known[0] != value:  # another machine wrote since
            self._fresh.pop(key, None)
        return value

    def put(self, key: str, value: bytes, ttl: float) -> None:
        """Set a value for so many seconds."""
        now = time.monotonic()
        known = self._fresh.get(key)
        if known is not None and known[0] == value and now < known[1]:
            return
        self._own.put(key, value, ttl)
        with self._lock:
            self._fresh[key] = value, now + ttl / _RENEWED
            self._waiting[key] = value, max(1, round(ttl * 1000))
            for bounded in (self._fresh, self._waiting):
                if len(bounded) > _WAITING:
                    bounded.popitem(last=False)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="shared", daemon=True)
                self._writer.start()
        self._some.set()

    def close(self) -> None:
        """Write what waits, and let go of what is held open."""
        self._closed = True
        self._some.set()
        if self._writer is not None:
            self._writer.join(_AGAIN)
        self._redis.close()

    def _place(self, key: str) -> str:
        return f"{PREFIX}{self._veil.name(f'{self._name}:{key}')}"

    def _silent(self) -> bool:
        return self._away and time.monotonic() < self._away_until

    def _asked(self, key: str) -> Any:
        command = self.question(key)
        if command is None:
            return None
        try:
            reply = self._redis.run(command)[0]
        except RedisError as error:
            self._lost(error)
            return None
        self._found()
        return reply

    def _write(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while self._waiting and not self._silent():
                with self._lock:
                    group = list(self._waiting.items())[:_GROUP]
                commands: list[Command] = []
                for key, (value, milliseconds) in group:
                    place = self._place(key)
                    commands.append(("SET", place, self._veil.seal(value, place), "PX", milliseconds))
                try:
                    self._redis.run(*commands)
                except RedisError as error:
                    self._lost(error)
                    break
                self._found()
                with self._lock:
                    for key, entry in group:
                        if self._waiting.get(key) is entry:
                            del self._waiting[key]
            if self._closed:
                return
            if self._waiting:
                time.sleep(_AGAIN)
                self._some.set()

    def _lost(self, error: RedisError) -> None:
        self._away_until = time.monotonic() + _AGAIN
        if not self._away:
            self._away = True
            log.warning("what calls have in common is remembered by this machine alone: %s", error)

    def _found(self) -> None:
        if self._away:
            self._away = False
            log.warning("Redis is back: what calls have in common is shared again")
