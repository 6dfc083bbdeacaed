"""Writes log rows in groups: what gathered while the last commit ran goes into the next, without a timer.

``LogWriter(db).put(row)`` takes a row (``LogRow``) at the price of an append and never waits; ``put_wait`` waits for
its commit. A database that is away is tried again while at most ``limit`` rows are kept; beyond that the oldest are
lost and counted. Make one per process, after fork. Under gevent its thread is a greenlet.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from functools import partial

from sqlalchemy.exc import InterfaceError, OperationalError

from engine.storage.database import Database, StorageError
from engine.storage.log_rows import CONSUME, ERROR, LogRow, apply

__all__ = ["CONSUME", "ERROR", "LogRow", "LogWriter", "apply"]

_GROUP = 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_logger = logging.getLogger("gatewright.storage")

_FAILURES = (StorageError, OverflowError, ValueError, TypeError)
"""Drivers raise the latter three for values that they can't send."""
_Item = tuple[LogRow | None, threading.Event | None]


class LogWriter:
    """The group commit of one process. ``lost`` counts rows given up, ``waiting`` those not yet committed."""

    def __init__(self, db: Database, *, limit: int = 20_000) -> None:
        self.lost = 0
        self._db = db
        self._limit = limit
        self._queue: deque[_Item] = deque()
        self._current: list[_Item] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Rows that are not in the database yet."""
        return len(self._queue) + len(self._current)

    def put(self, row: LogRow) -> None:
        """Have a row written soon."""
        self._add((row, None))

    def put_wait(self, row: LogRow, timeout: float = 10.0) -> bool:
        """Have a row written and wait for it; false when it isn't in the database in time (it may come later)."""
        done = threading.Event()
        self._add((row, done))
        return done.wait(timeout)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything put so far is written."""
        done = threading.Event()
        self._add((None, done))
        return done.wait(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Write what is left and stop; false when that took too long."""
        flushed = self.flush(timeout) if self._thread is not None else True
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return flushed

    def _add(self, item: _Item) -> None:
        queue = self._queue
        queue.append(item)
        if len(queue) > self._limit:
            self._lose(queue.popleft())
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                self._thread.start()

    def _lose(self, item: _Item) -> None:
        if item[0] is not None:
            if self.lost == 0:
                _logger.error("log rows are being lost: the database does not take them fast enough or is away")
            self.lost += 1

    def _run(self) -> None:
        while not (self._stop.is_set() and not self._queue):
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                taken = min(len(self._queue), _GROUP)
                self._current = [self._queue.popleft() for _ in range(taken)]
                self._commit()
                if self._stop.is_set() and self._current:
                    return

    def _commit(self) -> None:
        """Bring the current group into the database, however long that takes, or until the writer is stopped."""
        pause = _FIRST_PAUSE
        while self._current:
            rows = [row for row, _ in self._current if row is not None]
            try:
                if rows:
                    self._write(rows)
            except _FAILURES as error:
                if _away(error):
                    _logger.warning("log rows wait (%d): %s", self.waiting, error)
                    self._give_way()
                    if self._stop.wait(pause):
                        return
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                self._singly()
            self._release()

    def _write(self, rows: list[LogRow]) -> None:
        self._db.write(partial(apply, db=self._db, rows=rows), durable=False)

    def _give_way(self) -> None:
        """Hold to the limit while the database is away."""
        while self._current and self.waiting > self._limit:
            self._lose(self._current.pop(0))

    def _singly(self) -> None:
        """One row of the group can't be written: find it, drop it, keep the others."""
        for item in self._current:
            if item[0] is None:
                continue
            try:
                self._write([item[0]])
            except _FAILURES as error:
                _logger.error("a log row was dropped: %s", error)
                self._lose(item)

    def _release(self) -> None:
        for _, done in self._current:
            if done is not None:
                done.set()
        self._current = []


def _away(error: Exception) -> bool:
    return isinstance(error.__cause__, OperationalError | InterfaceError)
