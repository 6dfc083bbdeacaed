"""What is SQLite's alone: its connections, the one thread that writes, and how it says that a file is held by another.

Takes a ``Target``, gives connections of the driver. Knows no tables.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from engine.storage.dsn import Target

T = TypeVar("T")


def open_connection(target: Target, wait: float | None = None) -> sqlite3.Connection:
    """A connection to the target's file; ``wait`` is how long it waits for a lock, in seconds."""
    wait = target.busy_ms / 1000 if wait is None else wait
    connection = sqlite3.connect(str(target.path), timeout=wait, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    # PERF: the pages that every commit touches are copied once in 32 MB of log, not once in 4
    connection.execute("PRAGMA wal_autocheckpoint=8000")
    return connection


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
