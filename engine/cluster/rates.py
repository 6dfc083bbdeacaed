"""How much happened within a time, by name, shared by all workers of one machine: a mapped file under one lock.

``Rates(path)``: ``take`` adds to several counts if each has room, or to none; ``settle`` says later what an amount
really came to. A time is cut into slots, and what was added counts for as many slots as the time has and the one that
began: no stretch of that length ever sees more than the most. What is under way at once (an ask of 0 seconds) is held
by seats, so that a process that dies gives its part back. PERF: 3 us for an ask, where a keyed store costs 10 to 30.
Nothing here yields. Knows names and numbers only.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_UN, lockf
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

from engine.cluster.holds import Holds, Want

SLOTS = 16
"""Slots that are kept of a time: it has one less, and the one that began."""
_ENTRIES = 32_768
_KEY, _LAST, _SUM, _UNTIL, _FIRST = 0, 1, 2, 3, 4
_WIDTH = _FIRST + SLOTS
_PROBES = 16
_LEAST_WAIT = 1.0


@dataclass(slots=True)
class Ask:
    """An amount that wants room in the count of this name: at most ``most`` in ``seconds``; 0 seconds: at once.

    PERF: not frozen, as one is made for each limit of a call.
    """

    name: str
    most: int
    seconds: float
    amount: int = 1
    slot: int = 0
    """When it was taken."""
    shared: str = ""
    """Who holds it, where several machines count together."""


@dataclass(slots=True)
class Verdict:
    """What came of some asks. ``full`` is the index of the first that had no room, -1 where all were taken.

    ``left`` is what is left of each; ``wait`` are the seconds until the full one may have room.
    """

    full: int = -1
    wait: float = 0.0
    left: list[int] = field(default_factory=list)
    beside: list[Any] = field(default_factory=list)
    """The reply to what was asked beside; empty where Redis was not asked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A count as it stands: what counts now, and when (unix s) that is forgotten; 0 where nothing is."""

    used: int = 0
    until: int = 0


class Rates:
    """See the module. Times are unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = Holds(path.with_name(f"{path.name}-parallel"))
        # opened once and for good: closing any descriptor of the file would drop this process's lock
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = _ENTRIES * _WIDTH * 8
        with self:
            if os.fstat(self._fd).st_size != size:
                os.ftruncate(self._fd, 0)
                os.ftruncate(self._fd, size)
        self._map = mmap.mmap(self._fd, size)
        self._cells = memoryview(self._map).cast("q")
        self._places: dict[int, int] = {}

    def __enter__(self) -> None:
        self._lock.acquire()
        lockf(self._fd, LOCK_EX)

    def __exit__(self, *_: object) -> None:
        lockf(self._fd, LOCK_UN)
        self._lock.release()

    def take(self, asks: Sequence[Ask], beside: object = None) -> Verdict:
        """Add to all counts, or to none. An amount above the most goes where nothing else is counted.

        ``beside`` is for who asks Redis.
        """
        at_once = [index for index, ask in enumerate(asks) if not ask.seconds]
        if at_once:
            wants = [Want(_key(asks[index].name), most=asks[index].most) for index in at_once]
            full = self._under_way.take(0, wants, 1)
            if full is not None:
                return Verdict(at_once[full], _LEAST_WAIT)
        verdict = self._counted(asks)
        if at_once:
            if verdict.full >= 0:
                self._under_way.settle(0, [want.key for want in wants], 1, 0)
            else:
                for index in at_once:
                    verdict.left[index] = max(0, asks[index].most - self._under_way.held(0, _key(asks[index].name)))
        return verdict

    def look(self, asks: Sequence[Ask]) -> list[Seen]:
        """How the counts of these names stand; nothing is added to them."""
        with self:
            counted = [self._seen(ask) if ask.seconds else Seen() for ask in asks]
        pairs = zip(asks, counted, strict=True)
        return [seen if ask.seconds else Seen(self._under_way.held(0, _key(ask.name))) for ask, seen in pairs]

    def _seen(self, ask: Ask) -> Seen:
        cells, key = self._cells, _key(ask.name)
        bases = [(key + each) % _ENTRIES * _WIDTH for each in range(_PROBES)]
        base = next((each for each in bases if cells[each] == key), None)
        if base is None:
            return Seen()
        last = cells[base + _LAST]
        slots = {slot: cells[base + _FIRST + slot % SLOTS] for slot in range(last - SLOTS + 1, last + 1)}
        return seen(slots, ask.seconds, self._clock())

    def settle(self, asks: Sequence[Ask], amounts: Sequence[int]) -> None:
        """What asks that were taken came to; what was under way is so no more."""
        pairs = zip(asks, amounts, strict=True)
        changed = [(ask, amount) for ask, amount in pairs if ask.seconds and amount != ask.amount]
        if changed:
            with self:
                for ask, amount in changed:
                    self._change(ask, amount)
        ended = [_key(ask.name) for ask in asks if not ask.seconds]
        if ended:
            self._under_way.settle(0, ended, 1, 0)

    def sweep(self) -> None:
        """Give back what dead processes had under way."""
        self._under_way.sweep()

    def close(self) -> None:
        """Give the seat back; the object is of no more use."""
        self._under_way.close()
        self._cells.release()
        self._map.close()
        os.close(self._fd)

    def _counted(self, asks: Sequence[Ask]) -> Verdict:
        cells, now, left = self._cells, self._clock(), []
        bases: list[int] = []
        with self:
            for index, ask in enumerate(asks):
                if not ask.seconds:
                    bases.append(-1)
                    continue
                width = ask.seconds / (SLOTS - 1)
                ask.slot = int(now / width)
                base = self._base(_key(ask.name))
                used = self._rolled(base, ask.slot)
                cells[base + _UNTIL] = int(now + ask.seconds + width)
                if used + min(ask.amount, ask.most) > ask.most:
                    return Verdict(index, self._wait(base, ask, used, now, width))
                bases.append(base)
            for base, ask in zip(bases, asks, strict=True):
                if base < 0:
                    left.append(0)
                    continue
                cells[base + _SUM] += ask.amount
                cells[base + _FIRST + ask.slot % SLOTS] += ask.amount
                left.append(max(0, ask.most - cells[base + _SUM]))
        return Verdict(left=left)

    def _rolled(self, base: int, slot: int) -> int:
        """What counts in this slot; older ones are forgotten. Where the clock went back, it stands still here."""
        cells = self._cells
        last = cells[base + _LAST]
        if slot > last:
            gone = range(last + 1, slot + 1) if slot - last < SLOTS else range(SLOTS)
            for each in gone:
                at = base + _FIRST + each % SLOTS
                cells[base + _SUM] -= cells[at]
                cells[at] = 0
            cells[base + _LAST] = slot
        return cells[base + _SUM]

    def _wait(self, base: int, ask: Ask, used: int, now: float, width: float) -> float:
        """Seconds until so much is forgotten that there is room."""
        cells, needed = self._cells, used + min(ask.amount, ask.most) - ask.most
        for slot in range(ask.slot - SLOTS + 1, ask.slot + 1):
            needed -= cells[base + _FIRST + slot % SLOTS]
            if needed <= 0:
                return max(_LEAST_WAIT / 10, (slot + SLOTS) * width - now)
        return ask.seconds

    def _change(self, ask: Ask, amount: int) -> None:
        cells, base = self._cells, self._base(_key(ask.name))
        now = max(cells[base + _LAST], int(self._clock() / (ask.seconds / (SLOTS - 1))))
        self._rolled(base, now)
        more = amount - ask.amount
        slot = ask.slot if now - ask.slot < SLOTS else now
        at = base + _FIRST + slot % SLOTS
        more = max(more, -cells[at])
        cells[at] += more
        cells[base + _SUM] += more

    def _base(self, key: int) -> int:
        """Where a count stands: its own place, else an empty one, else that of the count which is over first."""
        cells = self._cells
        base = self._places.get(key)
        if base is not None and cells[base] == key:
            return base
        bases = [(key + each) % _ENTRIES * _WIDTH for each in range(_PROBES)]
        base = next((each for each in bases if cells[each] == key), None)
        if base is None:
            base = min(bases, key=lambda each: cells[each + _UNTIL])
            for at in range(base + 1, base + _WIDTH):
                cells[at] = 0
            cells[base] = key
        if len(self._places) >= _ENTRIES:
            self._places.clear()
        self._places[key] = base
        return base


def seen(slots: Mapping[int, int], seconds: float, now: float) -> Seen:
    """What amounts by slot come to now."""
    width = seconds / (SLOTS - 1)
    first = int(now / width) - SLOTS + 1
    counting = {slot: amount for slot, amount in slots.items() if slot >= first and amount}
    return Seen(sum(counting.values()), ceil((max(counting) + SLOTS) * width)) if counting else Seen()


@lru_cache(65_536)
def _key(name: str) -> int:
    """A count's number: names of any length, and no name stands in the file."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big") >> 1 | 1
