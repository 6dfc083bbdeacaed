"""Amounts held and spent by key, shared by all workers of one machine: a mapped file of counters under range locks.

``Holds(path)`` takes a seat, which ends with the process however that ends. ``take`` reserves an amount on several
keys at once if each has that much left; ``settle`` turns what was reserved into what was spent; ``commit`` notes that
spent amounts are in the database now. What a dead process had reserved is free again when its seat is swept; what it
had spent stays until its journal was replayed. PERF: 6 us for a take, where a keyed store costs 10 to 30 us per key.
Nothing here yields. Knows numbers only: neither users nor money.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from pathlib import Path

from engine.errors import Unavailable

_MAGIC = 0x67775F686F6C6431
_SEATS = 64
_SLOTS = 16_384
_HEADER = 16
_WIDTH = 4 + 2 * _SEATS
_PROBES = 64
_TOP, _GENERATION = 1, 2
_STRIPES = 1024
_SEAT_LOCK, _CLAIM_LOCK, _SWEEP_LOCK = 2_000_000, 3_000_000, 3_000_001
"""Bytes of the file's address range that stand for locks; nothing is stored there."""
_MOST = 1 << 60
"""What any counter holds at most; a cell has 63 bits, and sums of a few must fit, too."""
_ORPHANS = 0
"""The seat of what dead processes had spent."""


class HoldsError(Unavailable):
    """The shared counters can't be used."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in a key's history: what is committed since then has to be subtracted from a balance read after it."""

    generation: int
    committed: int
    spent: int
    """What was spent then and not yet committed: 0 says that no commit was under way."""


@dataclass(slots=True)
class Want:
    """A key to reserve on. ``balance`` is what it had when ``mark`` was taken; nothing: as much as it likes.

    ``most``: what may be held on it at once. Never changed; PERF: not frozen, as two are made for each call.
    """

    key: int
    balance: int | None = None
    mark: Mark | None = None
    most: int = _MOST


class _Stripe:
    """One user's counters, for this thread of this process alone. PERF: half of what a generator would cost."""

    __slots__ = ("_byte", "_fd", "_lock")

    def __init__(self, lock: threading.Lock, fd: int, byte: int) -> None:
        self._lock, self._fd, self._byte = lock, fd, byte

    def __enter__(self) -> None:
        self._lock.acquire()
        lockf(self._fd, LOCK_EX, 1, self._byte)

    def __exit__(self, *_: object) -> None:
        lockf(self._fd, LOCK_UN, 1, self._byte)
        self._lock.release()


class Holds:
    """The counters, seen from one process. ``stripe`` is what a call's keys have in common (its user)."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        # opened once and for good: closing any descriptor of the file would drop this process's locks
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = (_HEADER + _SLOTS * _WIDTH) * 8
        with self._range(_CLAIM_LOCK):
            if os.fstat(self._fd).st_size != size:
                os.ftruncate(self._fd, 0)
                os.ftruncate(self._fd, size)
            self._map = mmap.mmap(self._fd, size)
            self._cells = memoryview(self._map).cast("q")
            if self._cells[0] != _MAGIC:
                self._cells[0], self._cells[_TOP] = _MAGIC, 1
        self._places: dict[int, int] = {}
        self.seat = self._sit()

    def take(self, stripe: int, wants: Sequence[Want], amount: int) -> int | None:
        """Reserve; gives the index of the first key that has not enough, or nothing when all were reserved."""
        with self._striped(stripe):
            cells, top = self._cells, self._cells[_TOP]
            bases = [self._base(want.key, stripe) for want in wants]
            for index, want in enumerate(wants):
                if want.balance is not None and want.mark is not None:
                    base = bases[index]
                    left = self._left(base, top, want.balance, want.mark)
                    if left is None or left < amount:
                        return index
                if cells[bases[index] + 4 + self.seat] + amount > _MOST:
                    return index
                if want.most < _MOST and self._held(bases[index], top) + amount > want.most:
                    return index
            for base in bases:
                cells[base + 4 + self.seat] += amount
            return None

    def settle(self, stripe: int, keys: Sequence[int], held: int, spent: int) -> None:
        """What was held is free again, and ``spent`` of it is gone for good. A counter stops at its most."""
        with self._striped(stripe):
            cells, seat = self._cells, self.seat
            for key in keys:
                base = self._base(key, stripe)
                cells[base + 4 + seat] -= held
                at = base + 4 + _SEATS + seat
                cells[at] = min(cells[at] + spent, _MOST)

    def commit(self, stripe: int, key: int, amount: int, *, orphan: bool = False) -> None:
        """An amount that was spent is in the database now. ``orphan``: a dead process had spent it."""
        with self._striped(stripe):
            cells = self._cells
            base = self._base(key, stripe)
            cell = base + 4 + _SEATS + (_ORPHANS if orphan else self.seat)
            cells[cell] = max(0, cells[cell] - amount)
            cells[base + 2] = min(cells[base + 2] + amount, _MOST)

    def mark(self, stripe: int, key: int) -> Mark:
        """This moment, to be taken before a balance is read."""
        with self._striped(stripe):
            cells, base = self._cells, self._base(key, stripe)
            at = base + 4 + _SEATS
            return Mark(cells[base + 3], cells[base + 2], sum(cells[at : at + cells[_TOP]]))

    def open(self, stripe: int, key: int) -> int:
        """What is held and what is spent but not committed, together."""
        with self._striped(stripe):
            cells, base = self._cells, self._base(key, stripe)
            top = cells[_TOP]
            at = base + 4 + _SEATS
            return sum(cells[base + 4 : base + 4 + top]) + sum(cells[at : at + top])

    def held(self, stripe: int, key: int) -> int:
        """What is held."""
        with self._striped(stripe):
            return self._held(self._base(key, stripe), self._cells[_TOP])

    def sweep(self) -> int:
        """Free what dead processes hold, and keep apart what they spent; gives how many had died."""
        freed = 0
        with self._range(_SWEEP_LOCK):
            for seat in range(1, self._cells[_TOP]):
                if seat != self.seat and self._try(_SEAT_LOCK + seat):
                    freed += self._clear(seat)
                    self._let(_SEAT_LOCK + seat)
        return freed

    def forget_orphans(self) -> None:
        """No journal of a dead process is left, so nothing that one spent is still to be committed."""
        for base in self._used():
            self._cells[base + 4 + _SEATS + _ORPHANS] = 0

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """One process at a time, for what only one should do; false when another does it."""
        if not self._try(_SWEEP_LOCK + 1):
            yield False
            return
        try:
            yield True
        finally:
            self._let(_SWEEP_LOCK + 1)

    def close(self) -> None:
        """Give the seat back; the object is of no more use."""
        self._clear(self.seat)
        self._cells.release()
        self._map.close()
        os.close(self._fd)

    def _sit(self) -> int:
        with self._range(_SWEEP_LOCK):
            for seat in range(1, _SEATS):
                if self._try(_SEAT_LOCK + seat):
                    self._clear(seat)
                    self._cells[_TOP] = max(self._cells[_TOP], seat + 1)
                    return seat
        raise HoldsError(f"{_SEATS - 1} processes use the shared counters already; start fewer workers")

    def _clear(self, seat: int) -> bool:
        cells, used = self._cells, False
        for base in self._used():
            spent = base + 4 + _SEATS
            if cells[base + 4 + seat] or cells[spent + seat]:
                used = True
                cells[spent + _ORPHANS] += cells[spent + seat]
                cells[base + 4 + seat] = cells[spent + seat] = 0
        return used

    def _used(self) -> Iterator[int]:
        cells = self._cells
        for base in range(_HEADER, _HEADER + _SLOTS * _WIDTH, _WIDTH):
            if cells[base]:
                yield base

    def _held(self, base: int, top: int) -> int:
        return sum(self._cells[base + 4 : base + 4 + top])

    def _left(self, base: int, top: int, balance: int, mark: Mark) -> int | None:
        """What is left of a balance; nothing when the mark is of an earlier life of the slot."""
        cells = self._cells
        if cells[base + 3] != mark.generation:
            return None
        at = base + 4 + _SEATS
        amount = sum(cells[base + 4 : base + 4 + top]) + sum(cells[at : at + top])
        return balance - (cells[base + 2] - mark.committed) - amount

    def _base(self, key: int, stripe: int) -> int:
        base = self._places.get(key)
        if base is not None and self._cells[base] == key:
            return base
        base = self._places[key] = self._find(key, stripe)
        return base

    def _find(self, key: int, stripe: int) -> int:
        """The key's slot, claimed if need be; one whose key has nothing open gives way when all around are taken."""
        with self._range(_CLAIM_LOCK):
            cells = self._cells
            first = (key * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32
            bases = [_HEADER + (first + step) % _SLOTS * _WIDTH for step in range(_PROBES)]
            for base in bases:
                if cells[base] == key:
                    return base
            for base in bases:
                if not cells[base]:
                    return self._claim(base, key, stripe)
            for base in bases:
                theirs = cells[base + 1]
                mine = theirs == stripe % _STRIPES
                if mine or self._try(theirs):
                    empty = not any(cells[base + 4 : base + _WIDTH])
                    if empty:
                        self._claim(base, key, stripe)
                    if not mine:
                        self._let(theirs)
                    if empty:
                        return base
        raise HoldsError("the shared counters are full: too many keys have calls under way at once")

    def _claim(self, base: int, key: int, stripe: int) -> int:
        cells = self._cells
        cells[_GENERATION] += 1
        cells[base + 1], cells[base + 2], cells[base + 3] = stripe % _STRIPES, 0, cells[_GENERATION]
        cells[base] = key
        return base

    def _striped(self, stripe: int) -> _Stripe:
        return _Stripe(self._lock, self._fd, stripe % _STRIPES)

    @contextmanager
    def _range(self, byte: int) -> Iterator[None]:
        lockf(self._fd, LOCK_EX, 1, byte)
        try:
            yield
        finally:
            lockf(self._fd, LOCK_UN, 1, byte)

    def _try(self, byte: int) -> bool:
        try:
            lockf(self._fd, LOCK_EX | LOCK_NB, 1, byte)
        except OSError:
            return False
        return True

    def _let(self, byte: int) -> None:
        lockf(self._fd, LOCK_UN, 1, byte)
