"""The database of the log rows: the main one, or a second one where LOG_SQL_DSN names it.

``open_logs(settings, db)`` gives it open; with ``migrate`` it first makes the log table and our own beside it where
they are missing (whoever starts the server does, workers do not). The main database keeps its own log table unread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from engine.errors import Invalid
from engine.storage import migrations
from engine.storage.database import Database, DatabaseSettings, connect
from engine.storage.dsn import resolve
from engine.storage.tables.core import logs
from engine.storage.tables.own import log_extra
from engine.storage.upgrade.additions import create


class LogSettings(DatabaseSettings, Protocol):
    """What is read of the settings."""

    @property
    def log_sql_dsn(self) -> str: ...


def open_logs(settings: LogSettings, db: Database, *, migrate: bool = False) -> Database:
    """The database of the log rows; ``db`` itself unless another is named. Close it only if it is another.

    Without ``migrate`` it may be away: nothing is asked of it before its first use.
    """
    dsn = settings.log_sql_dsn.strip()
    if not dsn:
        return db
    try:
        target = resolve(dsn, settings.sqlite_path, Path(settings.data))
        opened = connect(target, settings.sql_max_idle_conns, settings.sql_max_open_conns, settings.sql_max_lifetime)
    except Invalid as error:
        raise Invalid("LOG_SQL_DSN", error.what.replace("SQL_DSN", "LOG_SQL_DSN"), error.how) from None
    try:
        if migrate:
            migrations.alone(opened, lambda connection: len(create(connection, [logs, log_extra])))
        opened.bounds = db.bounds
        opened.watch(settings.sql_slow_threshold_ms)
    except BaseException:
        opened.close()
        raise
    return opened
