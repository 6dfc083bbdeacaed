"""A backup's way back, into an empty database of any kind and a data directory without documents and journals.

``restore(settings, directory)`` compares the whole backup before it changes anything. The newest schema is made first,
so a backup of an older version comes up by the way; one of a newer version is refused. What fails is taken back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, inspect, text
from sqlalchemy.schema import CreateColumn

from engine.care import rows
from engine.care.archive import Archive
from engine.care.backup import FILES, JOURNAL, LOG_TABLES, SESSION, TABLES
from engine.errors import Conflict, Invalid
from engine.ledger import journal
from engine.settings import Settings
from engine.storage import migrations
from engine.storage.database import connect, open_database
from engine.storage.dsn import Target, resolve
from engine.storage.logdb import open_logs
from engine.storage.tables import METADATA

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Restored:
    """``rows`` by table; ``journals`` are files of calls that the next start books."""

    database: str
    version: str
    rows: dict[str, int]
    journals: int
    files: int


def restore(settings: Settings, directory: Path) -> Restored:
    """Bring a backup into the database and the data directory of the settings."""
    archive = Archive(directory, settings.crypto_secret)
    facts = archive.facts
    if facts["revision"] is not None and facts["revision"] > migrations.HEAD:
        why = (
            f"the backup is of version {facts['version']}, whose schema ({facts['revision']}) is newer than this one's"
        )
        raise Invalid("DIR", why, f"install gatewright {facts['version']} or later")
    _room_for(settings)
    targets = [
        resolve(dsn, settings.sqlite_path, Path(settings.data))
        for dsn in (settings.sql_dsn, *filter(None, [settings.log_sql_dsn]))
    ]
    for target in targets:
        _empty(target)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        counts, label = _database(settings, archive)
    except BaseException:
        for target in targets:
            _taken_back(target)
        raise
    return Restored(label, facts["version"], counts, _journals(settings, archive), _files(settings, archive))


def _room_for(settings: Settings) -> None:
    occupied = [
        path for path in (settings.spec_directory, settings.secret_directory) if path.is_dir() and any(path.iterdir())
    ]
    occupied += list(journal.files(settings.data / "journal"))[:1]
    if occupied:
        raise Conflict(f"{occupied[0]} is not empty; restore into a data directory of its own (GATEWRIGHT_DATA)")


def _empty(target: Target) -> None:
    """Refuse a database that holds anything."""
    if target.path is not None:
        if target.path.exists() and target.path.stat().st_size:
            raise Conflict(f"{target.path} is there already; restore elsewhere, or move it away")
        return
    db = connect(target)
    try:
        with db.read() as connection:
            names = inspect(connection).get_table_names()
    finally:
        db.close()
    if names:
        raise Conflict(
            f"{target.label} holds {len(names)} tables; restore into an empty database (CREATE DATABASE ...)"
        )


def _taken_back(target: Target) -> None:
    """What was begun in a database that had been empty goes again."""
    if target.path is not None:
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                target.path.with_name(target.path.name + end).unlink(missing_ok=True)
        return
    db = connect(target)
    try:
        with suppress(Exception):  # what went wrong before is what has to be told
            db.write(_dropped)
    finally:
        db.close()


def _dropped(connection: Connection) -> None:
    tables = MetaData()
    tables.reflect(connection)
    tables.drop_all(connection)


def _database(settings: Settings, archive: Archive) -> tuple[dict[str, int], str]:
    db = open_database(replace(settings, sql_slow_threshold_ms=0))
    try:
        log_db = open_logs(settings, db, migrate=True)
        try:
            counts = {}
            for name, facts in archive.facts["tables"].items():
                into = log_db if name in LOG_TABLES else db
                counts[name] = into.write(partial(_filled, name=name, columns=facts["columns"], archive=archive))
                if counts[name] != facts["rows"]:
                    raise Invalid(
                        "DIR", f"the backup is not whole: {name} has {counts[name]} rows, not {facts['rows']}"
                    )
            return counts, db.label
        finally:
            if log_db is not db:
                log_db.close()
    finally:
        db.close()


def _filled(connection: Connection, name: str, columns: Mapping[str, str], archive: Archive) -> int:
    """Put a table's rows in; what the first start of the schema put there goes."""
    quote = connection.dialect.identifier_preparer.quote
    dialect = connection.dialect.name
    known = METADATA.tables[name].columns
    of: list[Column[Any]] = [rows.unknown(column, kind) if kind else known[column] for column, kind in columns.items()]
    for column in of:
        if columns[column.name]:
            spec = str(CreateColumn(column).compile(dialect=connection.dialect))
            connection.exec_driver_sql(f"ALTER TABLE {quote(name)} ADD {spec}")
    connection.exec_driver_sql(f"DELETE FROM {quote(name)}")  # noqa: S608 - a table of ours
    fits = [rows.fitting(column, dialect) for column in of]
    listed = ", ".join(quote(column) for column in columns)
    marks = ", ".join(f":v{index}" for index in range(len(of)))
    statement = text(f"INSERT INTO {quote(name)} ({listed}) VALUES ({marks})")  # noqa: S608 - names of columns
    count = 0
    for part in _parts(archive.lines(f"{TABLES}/{name}")):
        values = [
            {f"v{at}": fit(value) for at, (fit, value) in enumerate(zip(fits, rows.read(line), strict=True))}
            for line in part
        ]
        connection.execute(statement, values)
        count += len(values)
    if dialect == "postgresql" and count and known.get("id") is not None and known["id"].autoincrement is True:
        counter = f"pg_get_serial_sequence('{name}', 'id')"
        connection.execute(text(f"SELECT setval({counter}, (SELECT MAX(id) FROM {name}))"))  # noqa: S608 - as above
    return count


def _parts(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while part := list(islice(lines, _AT_ONCE)):
        yield part


def _journals(settings: Settings, archive: Archive) -> int:
    """Lay the journals where the next start looks for what the dead have left."""
    names = [name for name in archive.names if name.startswith(f"{JOURNAL}/")]
    for name in names:
        _lay(archive, name, settings.data / "journal" / name.removeprefix(f"{JOURNAL}/"))
    return len(names)


def _files(settings: Settings, archive: Archive) -> int:
    places = {"specs": settings.spec_directory, "secrets": settings.secret_directory}
    names = [name for name in archive.names if name.startswith(f"{FILES}/")]
    for name in names:
        kind, _, below = name.removeprefix(f"{FILES}/").partition("/")
        _lay(archive, name, settings.data / SESSION if kind == SESSION else places[kind] / below)
    return len(names)


def _lay(archive: Archive, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(archive.read(name))
