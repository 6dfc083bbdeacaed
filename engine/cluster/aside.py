"""What is set aside, and until when: one list for all workers of a machine, in the embedded store.

``Aside(space, counts, path)``: ``back`` costs one memory read while nothing changes, since a mapped number tells when
the list did. Failures are counted across workers; the cool-down grows, and one caller alone may probe when it is over.
Other machines, where there are some, are told of each change, count with this one and share its probe (``peers``).
Times are unix seconds. Knows names only: not what bears them. May lose all it knows; then nothing is set aside.
"""

from __future__ import annotations

import mmap
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import orjson

from engine.cluster.store import StoreError

if TYPE_CHECKING:
    from engine.cluster.store import Space

_SIZE = 8
_KEPT = 86_400.0
"""Seconds for which it is remembered how often something was set aside."""
_PROBED = 30.0
"""Seconds that who probes has for it; then the next may."""
_STEPS = 16
NEVER = float("inf")
"""When that comes back which is switched off: it is not asked although all others are set aside."""


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """After ``failures`` within ``window`` seconds set aside, for ``cool_down`` seconds, twice as long each time.

    At most ``longest`` seconds. 0 failures: never.
    """

    failures: int = 0
    window: float = 60.0
    cool_down: float = 10.0
    longest: float = 600.0


@dataclass(frozen=True, slots=True)
class _Entry:
    until: float
    times: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one machine tells the others of a name: the entry that holds until ``ends``, or that it is forgotten: 0."""

    name: str
    until: float = 0.0
    times: int = 0
    ends: float = 0.0


class Peers(Protocol):
    """The other machines. None (or nothing done) where they can't be reached: this one then goes on alone."""

    def count(self, name: str, window: float) -> int | None:
        """Count a failure; how many all machines had within the window, this one too."""

    def claim(self, name: str, until: float, seconds: float) -> bool | None:
        """Whether this machine alone probes what was set aside until then."""

    def announce(self, change: Change) -> None:
        """Tell them."""


class Aside:
    """See the module. ``entries`` and ``counts`` are spaces of its own."""

    def __init__(
        self,
        entries: Space,
        counts: Space,
        path: Path,
        clock: Callable[[], float] = time.time,
        peers: Peers | None = None,
    ) -> None:
        self._entries, self._counts, self._clock, self._peers = entries, counts, clock, peers
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, _SIZE)
            self._map = mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)
        self._seen = b""
        self._known: dict[str, _Entry] = {}
        self._reading = threading.Lock()

    def names(self) -> dict[str, _Entry]:
        """What is or was set aside, as this moment knows it. PERF: a slice of mapped memory is compared, no more."""
        now = self._map[:_SIZE]
        if now != self._seen:
            with self._reading:
                self._seen = now
                self._known = self._read()
        return self._known

    def back(self, name: str) -> float:
        """When it may be asked again; 0: now. Past its time one caller alone is let through to try."""
        entry = self.names().get(name)
        if entry is None or entry.until == 0:
            return 0.0
        return 0.0 if entry.until <= self._clock() and self._claims(name, entry) else max(entry.until, 1.0)

    def failed(self, name: str, rule: BreakerRule, wait: float | None = None) -> float:
        """Note a failure; gives until when it is set aside now, 0 for not. ``wait``: as long as its owner asked for."""
        now, entry = self._clock(), self.names().get(name)
        if wait is not None:
            return self._put(name, now + min(wait, rule.longest), entry.times if entry else 0)
        if not rule.failures:
            return 0.0
        times = entry.times if entry else 0
        if not times and self._count(name, rule) < rule.failures:
            return 0.0
        if entry is not None and entry.until > now:
            return entry.until
        seconds = min(rule.longest, rule.cool_down * 2 ** min(times, _STEPS))
        return self._put(name, now + seconds * random.uniform(0.9, 1.1), times + 1)  # noqa: S311 - spreads probes

    def worked(self, name: str) -> None:
        """It answered: what was counted against it is forgotten. PERF: nothing is written for what never failed."""
        if name in self.names():
            self._note(Change(name))

    def switch_off(self, name: str, seconds: float) -> None:
        """Not to be asked at all for so long: until every worker has read that it is switched off."""
        self._note(Change(name, NEVER_WRITTEN, 0, self._clock() + seconds))

    def apply(self, change: Change) -> None:
        """What another machine tells of; or this one itself, in the order in which all of them are told it."""
        entry = self.names().get(change.name)
        before = (NEVER_WRITTEN if entry.until == NEVER else entry.until, entry.times) if entry is not None else None
        ends = change.ends > self._clock()
        if before != ((change.until, change.times) if ends else None):
            self._write(change, change.ends - self._clock() if ends else 0.0)

    def first(self, what: str, seconds: float) -> bool:
        """Whether nobody of all machines did this within so many seconds; then the caller is who does."""
        with suppress(StoreError):
            if not self._counts.cas(f"did {what}", None, b"1", seconds):
                return False
        return self._peers is None or self._peers.claim(f"did {what}", 0.0, seconds) is not False

    def _count(self, name: str, rule: BreakerRule) -> int:
        count = self._peers.count(name, rule.window) if self._peers is not None else None
        if count is not None:
            return count
        with suppress(StoreError):
            return self._counts.incr(name, ttl=rule.window)
        return 0

    def _claims(self, name: str, entry: _Entry) -> bool:
        """Whether this caller is the one that probes; the next may after as long as this one took at most."""
        with suppress(StoreError):
            if not self._counts.cas(f"probe {name} {entry.until}", None, b"1", _PROBED):
                return False
        return self._peers is None or self._peers.claim(name, entry.until, _PROBED) is not False

    def _put(self, name: str, until: float, times: int) -> float:
        self._note(Change(name, until, times, self._clock() + _KEPT))
        return until

    def _note(self, change: Change) -> None:
        self._write(change, change.ends - self._clock() if change.ends else 0.0)
        if self._peers is not None:
            self._peers.announce(change)

    def _write(self, change: Change, seconds: float) -> None:
        with suppress(StoreError):
            if seconds > 0:
                self._entries.put(change.name, orjson.dumps([change.until, change.times]), seconds)
            else:
                self._entries.delete(change.name)
                self._counts.delete(change.name)
        self._changed()

    def _changed(self) -> None:
        self._map[:_SIZE] = os.urandom(_SIZE)

    def _read(self) -> dict[str, _Entry]:
        known: dict[str, _Entry] = {}
        with suppress(StoreError):
            for name in self._entries.keys():  # noqa: SIM118 - a method of the store
                raw = self._entries.get(name)
                if raw is not None:
                    until, times = orjson.loads(raw)
                    known[name] = _Entry(NEVER if until == NEVER_WRITTEN else until, times)
        return known


NEVER_WRITTEN = -1
