"""The open database: short reads without a transaction, writes one transaction at a time, each engine in its own way.

``open_database(settings)`` connects, brings the schema up and gives a ``Database``. Open one per process, after fork.
On SQLite every write goes through one thread under BEGIN IMMEDIATE, so nobody ever meets a locked database; reads run
on a connection of the thread's own. Knows tables' columns only as names; errors carry no password.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, NullPool, Select, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.errors import Invalid
from engine.observe import Once
from engine.storage import migrations, slow
from engine.storage.bounds import Bounds, seconds, watched
from engine.storage.dsn import Target, resolve
from engine.storage.faults import REFUSED, DatabaseAway, StatementError, StorageError
from engine.storage.key_form import KeyForm
from engine.storage.outage import Outage
from engine.storage.pool import SharedPool, Slots
from engine.storage.sqlite import KeptPool, busy, locked, one_thread, open_connection, quietly
from engine.storage.vault import Vault

__all__ = ["Database", "DatabaseSettings", "Query", "StorageError", "connect", "open_database"]

T = TypeVar("T")
Columns = Mapping[str, frozenset[str]]
_logger = logging.getLogger("gatewright.storage")
_LOCK_WAIT = 60.0
_POOL_WAIT = 5.0
_PAUSE, _LONGEST_PAUSE = 0.005, 0.05
_AGAIN = frozenset({"40001", "40P01", "1213", "1205"})
"""Serialisation failures and deadlocks: the engine undid the transaction, so it may simply run again."""


class DatabaseSettings(Protocol):
    """What is read of the settings."""

    @property
    def sql_dsn(self) -> str: ...
    @property
    def sqlite_path(self) -> str: ...
    @property
    def data(self) -> Path: ...
    @property
    def node(self) -> str: ...
    @property
    def sql_max_idle_conns(self) -> int: ...
    @property
    def sql_max_open_conns(self) -> int: ...
    @property
    def sql_max_lifetime(self) -> int: ...
    @property
    def sql_slow_threshold_ms(self) -> int: ...
    @property
    def crypto_secret(self) -> str: ...
    @property
    def zone(self) -> tzinfo | None: ...


class Query:
    """One select, compiled once; ``one`` and ``all`` give plain tuples.

    PERF: 10 us on SQLite and 60-90 us elsewhere, where a Core select through a pool costs 235 us.
    """

    __slots__ = ("_db", "_fixed", "_order", "_sql")

    def __init__(self, db: Database, select: Select[Any]) -> None:
        compiled = select.compile(dialect=db.dialect)
        self._db = db
        self._sql = str(compiled)
        self._fixed = dict(compiled.params)
        self._order = tuple(compiled.positiontup or ()) if compiled.positional else None

    def _values(self, parameters: Mapping[str, Any]) -> Any:
        values = {**self._fixed, **parameters}
        return values if self._order is None else tuple(values[name] for name in self._order)

    def one(self, **given: Any) -> tuple[Any, ...] | None:
        """The first row."""
        rows = self.all(**given)
        return rows[0] if rows else None

    def all(self, **given: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._db.run(self._sql, self._values(given))


class Database:
    """An open database. ``prepared`` keeps the compiled queries of the modules beside this one, by name."""

    def __init__(self, target: Target, reader: Engine, writer: Engine) -> None:
        self.kind = target.kind
        self.label = target.label
        self._columns: Columns | None = None
        self.prepared: dict[str, Query] = {}
        self.slow_ms = 0
        self.vault = Vault("")
        self.keys = KeyForm()
        self.stamp = self.node = ""
        self.pinned: Mapping[str, tuple[str, str]] = {}
        """Options that documents pin, with text and place; they go before the rows of the table."""
        self.left_out, self.sealed_out = Once(_logger), Once(_logger)
        self.zone: tzinfo | None = None
        """Where days begin; None: as the process tells the time."""
        self._target = target
        self._reader = reader
        self._writer = writer
        self._own: dict[int, sqlite3.Connection] = {}
        self._held: Connection | None = None
        self._lock = threading.Lock()
        self._pool = one_thread() if target.kind == "sqlite" else None
        self._durable: bool | None = None
        self._opening = False
        self.bounds: Bounds | None = None
        """Set where calls are served: how long any of them waits, and then nobody waits until it answers again."""
        self.outage = Outage(self._probe, target.label)
        if target.kind != "sqlite":
            watched(reader, target.kind, lambda: seconds(self.bounds, write=False))
            watched(writer, target.kind, lambda: seconds(self.bounds, write=True))

    @property
    def columns(self) -> Columns:
        """Which columns the tables really have (older programs made fewer); looked up when first asked for."""
        if self._columns is None:
            self.look()
        return self._columns or {}

    @property
    def dialect(self) -> Any:
        """SQLAlchemy's dialect, for compiling statements."""
        return self._reader.dialect

    def query(self, select: Select[Any]) -> Query:
        """Compile a select once, to be run often."""
        return Query(self, select)

    def run(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        """Run a compiled read and give its rows; a connection that had died is replaced once.

        Where calls are served, and the database did not answer one, all others fail at once until it does.
        """
        self.outage.check()
        began = time.monotonic()
        try:
            if self.kind == "sqlite":
                rows = self._local(sql, values, began)
                if self.slow_ms:
                    slow.told(began, self.slow_ms, sql)
                return rows
            try:
                return self._remote(sql, values)
            except DBAPIError as error:
                # one that was silent for the whole of its bound would be so again
                silent = self.bounds is not None and time.monotonic() - began >= self.bounds.read
                if not error.connection_invalidated or silent:
                    raise
                return self._remote(sql, values)
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise self._failed(error) from error

    def _remote(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        with self._reader.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql, values)]

    def _local(self, sql: str, values: Any, began: float) -> list[tuple[Any, ...]]:
        """A read of a file that another process may keep to itself: SQLite's own wait would hold up the worker."""
        wait, pause = self._target.busy_ms / 1000, _PAUSE
        if self.bounds is not None:
            wait = min(wait, self.bounds.read)
        while True:
            try:
                return self._mine().execute(sql, values).fetchall()
            except sqlite3.OperationalError as error:
                if not busy(error) or time.monotonic() - began > wait:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _probe(self) -> None:
        """Ask for anything."""
        if self.kind == "sqlite":
            self._local("SELECT 1 FROM sqlite_master", (), 0.0)
        else:
            self._remote("SELECT 1", ())

    def _mine(self) -> sqlite3.Connection:
        # the native id: under gevent all greenlets of a thread share one connection, which is safe as no call yields
        thread = threading.get_native_id()
        connection = self._own.get(thread)
        if connection is None:
            connection = self._own[thread] = open_connection(self._target, wait=0)
            connection.execute("PRAGMA query_only=ON")
        return connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reads of the control plane, each statement for itself."""
        self.outage.check()
        try:
            with self._reader.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(error) from error

    def aside(self, work: Callable[[], T]) -> T:
        """Run a read that may take long: in a thread, where the engine would hold up the whole process meanwhile."""
        if self._pool is None:
            return work()
        from gevent import get_hub

        return quietly(get_hub().threadpool, work)

    def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run ``work`` in one transaction. It may run again after a deadlock, so it changes nothing but the database.

        ``durable=False`` lets SQLite skip the sync: the last commits may then be lost with the power, not with a crash.
        """
        try:
            if self._pool is not None:
                return quietly(self._pool, partial(self._write_sqlite, work, durable))
            if self.kind == "sqlite":
                with self._lock:
                    return self._write_sqlite(work, durable)
            return self._write_server(work)
        except SQLAlchemyError as error:
            raise self._told(error) from error

    def _write_sqlite(self, work: Callable[[Connection], T], durable: bool) -> T:
        deadline = time.monotonic() + (_LOCK_WAIT if self.bounds is None else self.bounds.write)
        while True:
            if self._held is None:
                self._held = self._writer.connect()
            if durable is not self._durable:
                raw: Any = self._held.connection.driver_connection
                raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._held.rollback()
                self._durable = durable
            try:
                with self._held.begin():
                    return work(self._held)
            except DBAPIError as error:
                if not locked(error) or time.monotonic() > deadline:
                    raise

    def _write_server(self, work: Callable[[Connection], T]) -> T:
        for _ in range(4):
            try:
                with self._writer.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not _undone(error):
                    raise
        with self._writer.begin() as connection:
            return work(connection)

    def watch(self, slow_ms: int) -> None:
        """Have statements logged that take longer than this; 0 logs none."""
        self.slow_ms = slow_ms
        for engine in {self._reader, self._writer}:
            slow.watch(engine, slow_ms)

    def look(self) -> None:
        """Note which columns the tables have; called after the schema was brought up."""
        with self.read() as connection:
            inspector = inspect(connection)
            tables = inspector.get_multi_columns()
        self._columns = {name: frozenset(column["name"] for column in listed) for (_, name), listed in tables.items()}

    def _failed(self, error: Exception) -> StorageError:
        message = self._told(error)
        if self.bounds is not None and not self._opening and _unanswered(error):
            self.outage.begin(message)
        return message

    def _told(self, error: Exception) -> StorageError:
        cause = getattr(error, "orig", None) or error
        first = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
        password = self._target.url.password
        if password:
            first = first.replace(str(password), "***")
        kind = StatementError if isinstance(error, REFUSED) else DatabaseAway
        return kind(f"database {self.label}: {first}")

    def close(self) -> None:
        """Give all connections back; the object is of no more use."""
        self.outage.end()
        if self._held is not None:
            self._held.close()
            self._held = None
        for connection in self._own.values():
            connection.close()
        self._own.clear()
        self._reader.dispose()
        self._writer.dispose()
        if self._pool is not None:
            self._pool.kill()


def open_database(settings: DatabaseSettings, *, migrate: bool = True, bounds: Bounds | None = None) -> Database:
    """Connect, bring the schema up (``migrate``; workers leave it to whoever started them) and look at the columns.

    ``bounds`` is given by who serves calls; others wait as long as the database takes.
    """
    target = resolve(settings.sql_dsn, settings.sqlite_path, Path(settings.data))
    db = connect(target, settings.sql_max_idle_conns, settings.sql_max_open_conns, settings.sql_max_lifetime)
    db.bounds, db._opening = bounds, True
    try:
        if migrate:
            migrations.bring_up(db)
        db.look()
        db._opening = False
        db.watch(settings.sql_slow_threshold_ms)
        db.vault = Vault(settings.crypto_secret)
        db.zone = settings.zone
        db.node = settings.node
        db.keys.news(db)
    except BaseException:
        db.close()
        raise
    return db


def connect(target: Target, idle: int = 10, most: int = 50, lifetime: int = 60) -> Database:
    """A ``Database`` on this target, its schema untouched."""
    if target.kind == "sqlite":
        return _connect_sqlite(target)
    pool: dict[str, Any] = {
        "poolclass": SharedPool,
        "slots": Slots(most, idle, _POOL_WAIT, lifetime),
        "pool_recycle": lifetime,
        "hide_parameters": True,
        "connect_args": dict(target.arguments),
    }
    try:
        reader = create_engine(target.url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **pool)
        writer = create_engine(target.url, isolation_level="READ COMMITTED", pool_pre_ping=True, **pool)
    except ModuleNotFoundError as error:
        extra = "postgresql" if target.kind == "postgresql" else "mysql"
        what = f"the driver {error.name} for {target.kind} is not installed"
        raise Invalid("SQL_DSN", what, f"pip install 'gatewright[{extra}]'") from None
    return Database(target, reader, writer)


def _connect_sqlite(target: Target) -> Database:
    path = target.path
    assert path is not None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DatabaseAway(f"database file {path}: {error.strerror}") from None
    create: dict[str, Any] = {"creator": lambda: open_connection(target), "hide_parameters": True}
    reader = create_engine(target.url, isolation_level="AUTOCOMMIT", poolclass=KeptPool, **create)
    writer = create_engine(target.url, poolclass=NullPool, **create)

    @event.listens_for(writer, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return Database(target, reader, writer)


def _unanswered(error: Exception) -> bool:
    """Whether it was the database that was not there, and not the statement that was wrong."""
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or error.statement is None
    return busy(error)


def _undone(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    if code is None and error.orig is not None and error.orig.args:
        code = error.orig.args[0]
    return str(code) in _AGAIN
