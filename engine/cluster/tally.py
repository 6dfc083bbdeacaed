"""Numbers that each process of one machine says of itself now, and their sums: a mapped file with a row for each.

``Tally(path, width)`` takes a row, which is the process's as long as it lives. ``add`` and ``set`` are writes to
memory: no lock, no I/O. What a dead process said is taken out when somebody asks.
"""

from __future__ import annotations

import mmap
import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from pathlib import Path

from engine.errors import Unavailable

_ROWS = 256
_SIZE = 8


class Tally:
    """See the module. A row is ``width`` signed numbers of 8 bytes; its place in the file is locked by its process."""

    def __init__(self, path: Path, width: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._width = width
        # opened once and for good: closing any descriptor of the file would drop this process's lock
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = _ROWS * _SIZE * width
        if os.fstat(self._fd).st_size < size:  # what others wrote stays
            os.ftruncate(self._fd, size)
        self._map = mmap.mmap(self._fd, size)
        self._cells = memoryview(self._map).cast("q")
        self.own = next((row for row in range(_ROWS) if self._take(row)), -1)
        """The row of this process."""
        if self.own < 0:
            raise Unavailable(f"{_ROWS} processes use {path} already; start fewer workers")
        self._first = self.own * width
        self._clear(self.own)

    def add(self, amount: int, place: int = 0) -> None:
        """Change one of this process's own numbers."""
        self._cells[self._first + place] += amount

    def set(self, amount: int, place: int) -> None:
        """Say what one of them is."""
        self._cells[self._first + place] = amount

    def rows(self) -> dict[int, list[int]]:
        """What the living processes say, by their rows."""
        return {row: self._row(row) for row in range(_ROWS) if self._living(row)}

    def total(self, place: int = 0) -> int:
        """One number of all living processes together."""
        return sum(self._row(row)[place] for row in range(_ROWS) if any(self._row(row)) and self._living(row))

    def close(self) -> None:
        """Let go of the file."""
        self._clear(self.own)
        self._cells.release()
        self._map.close()
        os.close(self._fd)

    def _row(self, row: int) -> list[int]:
        return self._cells[row * self._width : (row + 1) * self._width].tolist()

    def _clear(self, row: int) -> None:
        for place in range(self._width):
            self._cells[row * self._width + place] = 0

    def _living(self, row: int) -> bool:
        """Whether a row's process lives: the lock of a dead one is free, and what it said is taken out."""
        if row == self.own:
            return True
        if not self._take(row):
            return True
        self._clear(row)
        lockf(self._fd, LOCK_UN, _SIZE, row * _SIZE)
        return False

    def _take(self, row: int) -> bool:
        try:
            lockf(self._fd, LOCK_EX | LOCK_NB, _SIZE, row * _SIZE)
        except OSError:
            return False
        return True
