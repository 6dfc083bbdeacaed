"""Connections of one process to one database server: several pools, one sum.

``Slots`` holds how many may be open in all. A ``SharedPool`` is an engine's pool that draws on it: what lies idle in
another pool gives way to whoever needs a connection, and what nobody needed for long is closed. A server may refuse new
connections for reasons of its own (a role's limit): then all that lie idle here are closed, and it is asked once more.
Knows no statements.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, Pool

_REFUSED_WITHIN = 1.0
"""Seconds in which a server that is there and refuses has said so; one that is silent is not asked twice."""
_PAUSES = (0.02, 0.1, 0.4)


class _Waiter:
    """Somebody in the queue, and what was handed on: a connection and the pool it is of, or the right to make one."""

    __slots__ = ("owner", "ready", "record")

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.owner: Pool | None = None
        self.record: ConnectionPoolEntry | None = None


class _Idle(NamedTuple):
    """A connection that nobody uses, since a moment of the monotonic clock."""

    pool: Pool
    record: ConnectionPoolEntry
    since: float


class Slots:
    """See the module. ``keep`` may lie idle, for ``idle`` seconds; a caller gives up after ``wait`` seconds.

    Who waits is served in turn; while anybody does, nothing lies idle.
    """

    def __init__(self, most: int, keep: int, wait: float, idle: float = math.inf) -> None:
        self._most = most
        self._keep = keep
        self._wait = wait
        self._longest = idle
        self._lock = threading.Lock()
        self._open = 0
        self._closed_at = 0.0
        self._idle: list[_Idle] = []
        """The one that was used last stands last."""
        self._queue: deque[_Waiter] = deque()

    def take(self, pool: Pool) -> ConnectionPoolEntry | None:
        """An idle connection of the pool; nothing where a new one may be made. Raises SQLAlchemy's ``TimeoutError``."""
        with self._lock:
            for at in range(len(self._idle) - 1, -1, -1):
                if self._idle[at].pool is pool:
                    return self._idle.pop(at).record
            if self._open < self._most:
                self._open += 1
                return None
            waiter = _Waiter()
            if self._idle:
                waiter.owner, waiter.record, _ = self._idle.pop(0)
                waiter.ready.set()
            else:
                self._queue.append(waiter)
        if not waiter.ready.wait(self._wait):
            with self._lock:
                if not waiter.ready.is_set():
                    self._queue.remove(waiter)
                    why = f"all {self._most} connections (SQL_MAX_OPEN_CONNS) were busy for {self._wait:g} s"
                    raise PoolTimeout(why)
        if waiter.owner is pool or waiter.record is None:
            return waiter.record
        self._closed_at = time.monotonic()
        waiter.record.close()
        return None

    @property
    def just_closed(self) -> bool:
        """Whether one had to give way a moment ago."""
        return time.monotonic() - self._closed_at < _REFUSED_WITHIN

    def put(self, pool: Pool, record: ConnectionPoolEntry) -> None:
        """Take back a connection that nobody uses any more; close those that lay idle for long."""
        now = time.monotonic()
        with self._lock:
            if self._queue:
                waiter = self._queue.popleft()
                waiter.owner, waiter.record = pool, record
                waiter.ready.set()
                return
            self._idle.append(_Idle(pool, record, now))
            # PERF: as a rule none
            over = max(0, len(self._idle) - self._keep)
            while over < len(self._idle) and now - self._idle[over].since > self._longest:
                over += 1
            closing, self._idle = self._idle[:over], self._idle[over:]
        self._end(closing)

    def _end(self, closing: Sequence[_Idle]) -> None:
        for idle in closing:
            idle.record.close()
        if closing:
            self.less(len(closing))

    def less(self, count: int = 1) -> None:
        """So many are closed."""
        with self._lock:
            for _ in range(count):
                if self._queue:
                    self._queue.popleft().ready.set()
                else:
                    self._open -= 1

    def close(self, pool: Pool | None = None) -> int:
        """Close what lies idle, of one pool or of all; how many that were."""
        with self._lock:
            closing = [idle for idle in self._idle if pool in (None, idle.pool)]
            self._idle = [idle for idle in self._idle if pool not in (None, idle.pool)]
        if closing:
            self._closed_at = time.monotonic()
        self._end(closing)
        return len(closing)


class SharedPool(Pool):
    """See the module."""

    def __init__(self, creator: Callable[..., Any], slots: Slots, **more: Any) -> None:
        super().__init__(creator, **more)
        self._slots = slots

    def _do_get(self) -> ConnectionPoolEntry:
        record = self._slots.take(self)
        if record is not None:
            return record
        try:
            return self._connected()
        except BaseException:
            self._slots.less()
            raise

    def _connected(self) -> ConnectionPoolEntry:
        for pause in _PAUSES:
            began = time.monotonic()
            try:
                return self._create_connection()
            except Exception:
                # a server takes a moment to see that a connection was closed
                if time.monotonic() - began > _REFUSED_WITHIN or not (self._slots.close() or self._slots.just_closed):
                    raise
            time.sleep(pause)
        return self._create_connection()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._slots.put(self, record)

    def dispose(self) -> None:
        """Close what lies idle here."""
        self._slots.close(self)

    def recreate(self) -> SharedPool:
        """An empty one like it; the engine asks for it after ``dispose``."""
        return SharedPool(
            self._creator,
            self._slots,
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            _dispatch=self.dispatch,
            dialect=self._dialect,
            pre_ping=self._pre_ping,
        )

    def status(self) -> str:
        """For people."""
        return "SharedPool"
