"""A number that each process of one machine says of itself now, and their sum: a mapped file with a cell for each.

``Tally(path)`` takes a cell, which is the process's as long as it lives. ``add`` is a write to memory: no lock, no I/O.
What a dead process said is taken out when somebody asks for the sum.
"""

from __future__ import annotations

import mmap
import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from pathlib import Path

from engine.errors import Unavailable

_CELLS = 256
_WIDTH = 8


class Tally:
    """See the module. A cell is one signed number of 8 bytes; its byte in the file is locked by its process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # opened once and for good: closing any descriptor of the file would drop this process's lock
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, _CELLS * _WIDTH)  # the same size each time: what others wrote stays
        self._map = mmap.mmap(self._fd, _CELLS * _WIDTH)
        self._cells = memoryview(self._map).cast("q")
        self._own = next((cell for cell in range(_CELLS) if self._take(cell)), -1)
        if self._own < 0:
            raise Unavailable(f"{_CELLS} processes use {path} already; start fewer workers")
        self._cells[self._own] = 0

    def add(self, amount: int) -> None:
        """Change this process's own number."""
        self._cells[self._own] += amount

    def total(self) -> int:
        """The numbers of all living processes together."""
        return sum(self._living(cell) for cell in range(_CELLS) if self._cells[cell])

    def close(self) -> None:
        """Let go of the file."""
        self._cells[self._own] = 0
        self._cells.release()
        self._map.close()
        os.close(self._fd)

    def _living(self, cell: int) -> int:
        """A cell's number; 0 where its process is dead, whose lock is free then."""
        if cell != self._own and self._take(cell):
            self._cells[cell] = 0
            lockf(self._fd, LOCK_UN, _WIDTH, cell * _WIDTH)
        return self._cells[cell]

    def _take(self, cell: int) -> bool:
        try:
            lockf(self._fd, LOCK_EX | LOCK_NB, _WIDTH, cell * _WIDTH)
        except OSError:
            return False
        return True
