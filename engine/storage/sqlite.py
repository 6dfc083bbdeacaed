"""What is SQLite's alone: its connections and those kept for the next read, the one thread that writes, a file in use.

Takes a ``Target``, gives connections of the driver. Knows no tables.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from engine.storage.dsn import Target

T = TypeVar("T")

_KEPT = 4
"""Connections that lie ready."""


def open_connection(target: Target, wait: float | None = None) -> sqlite3.Connection:
    """A connection to the target's file; ``wait`` is how long it waits for a lock, in seconds."""
    wait = target.busy_ms / 1000 if wait is None else wait
    connection = sqlite3.connect(str(target.path), timeout=wait, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    # PERF: the pages that every commit touches are copied once in 32 MB of log, not once in 4
    connection.execute("PRAGMA wal_autocheckpoint=8000")
    return connection


class KeptPool(Pool):
    """Gives the connection that was used last, or a new one; any number at a time, a few stay open.

    PERF: a new connection reads the whole schema before its first statement, 1 ms for some hundred tables. Without a
    lock, as threads of gevent's and greenlets read side by side: a deque's ends are safe in both.
    """

    def __init__(self, creator: Callable[..., Any], **more: Any) -> None:
        super().__init__(creator, **more)
        self._more = more
        self._idle: deque[ConnectionPoolEntry] = deque()

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return self._idle.pop()
        except IndexError:
            return self._create_connection()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if len(self._idle) < _KEPT:
            self._idle.append(record)
        else:
            record.close()

    def dispose(self) -> None:
        """Close what lies ready."""
        while self._idle:
            self._idle.pop().close()

    def recreate(self) -> KeptPool:
        """An empty one like it; the engine asks for it after ``dispose``."""
        return KeptPool(self._creator, **{**self._more, "_dispatch": self.dispatch})

    def status(self) -> str:
        """For people."""
        return f"KeptPool, {len(self._idle)} ready"


def one_thread() -> Any:
    """A pool of one native thread when gevent has patched this process, else nothing: the caller's thread will do."""
    if "gevent" not in sys.modules:
        return None
    from gevent import monkey, threadpool

    return threadpool.ThreadPool(1) if monkey.is_module_patched("socket") else None


def quietly(pool: Any, work: Callable[[], T]) -> T:
    """Run work in a thread of gevent's, which else prints each refusal that ends a transaction as a fault."""

    def run() -> tuple[T | None, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    result, error = pool.apply(run)
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def locked(error: DBAPIError) -> bool:
    """Whether another process held the file while a statement ran."""
    return busy(error.orig)


def busy(error: object) -> bool:
    """Whether the driver says that another process holds the file."""
    text = str(error)
    return "locked" in text or "busy" in text
