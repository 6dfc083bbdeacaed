"""A backup under load: one moment of the database, and what was finished then and not yet in it.

``backup(settings, directory)`` gives a ``Kept``. Journals are read before the database: what leaves them meanwhile is
in the database by then, and what is in both is booked once. Where log rows have a database of their own, journals are
read again between the two. Documents of one's own and the files of secrets go along. The gateway may run or not.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select

from engine import __version__
from engine.care import rows
from engine.care.archive import Writer
from engine.errors import NotFound
from engine.ledger import journal
from engine.ledger.committing import REFUSED
from engine.settings import Settings
from engine.storage import migrations
from engine.storage.database import Database, open_database
from engine.storage.logdb import open_logs
from engine.storage.rows.log_rows import CONSUME
from engine.storage.snapshot import snapshot
from engine.storage.tables import METADATA
from engine.storage.tables.core import logs
from engine.storage.tables.ledger import ledger
from engine.storage.tables.own import log_extra

TABLES, JOURNAL, FILES = "tables", "journal", "files"
SESSION = "session.secret"
LOG_TABLES = (logs.name, log_extra.name)
_CLOCKS = 3600
"""Seconds by which clocks of machines may differ: log rows younger than that are compared with the ledger."""


@dataclass(frozen=True, slots=True)
class Kept:
    """``rows`` by table; ``left`` are tables of other programs, which are not carried."""

    directory: Path
    sealed: bool
    bytes: int
    rows: dict[str, int]
    calls: int
    files: int
    left: tuple[str, ...]


def backup(settings: Settings, directory: Path) -> Kept:
    """Write a backup; ``directory`` must not be there, or be empty."""
    began = int(time.time())
    db = open_database(settings, migrate=False)
    try:
        if "users" not in db.columns:
            raise NotFound(f"{db.label} is empty: there is nothing to keep")
        log_db = open_logs(settings, db)
        writer = Writer(directory, settings.crypto_secret)
        try:
            return _written(settings, db, log_db, writer, directory, began)
        except BaseException:
            writer.discard()
            raise
        finally:
            if log_db is not db:
                log_db.close()
    finally:
        db.close()


def _written(settings: Settings, db: Database, log_db: Database, writer: Writer, directory: Path, began: int) -> Kept:
    journals = settings.data / "journal"
    calls = _journals(journals, writer, "a")
    with snapshot(db) as connection:
        revision = migrations.revision(connection)
        names = set(inspect(connection).get_table_names())
        apart = set(LOG_TABLES) if log_db is not db else set()
        tables = {name: _table(connection, name, writer) for name in sorted(names & set(METADATA.tables) - apart)}
        if log_db is not db:
            calls |= _journals(journals, writer, "b")
            with snapshot(log_db) as other:
                later = _later(connection, other, calls, began - _CLOCKS)
                there = set(inspect(other).get_table_names())
                tables |= {name: _table(other, name, writer, later) for name in sorted(there & apart)}
    files = _files(settings, writer)
    left = tuple(sorted(names - set(METADATA.tables) - {migrations.VERSION_TABLE}))
    writer.close(version=__version__, revision=revision, kind=db.kind, began=began, left=left, tables=tables)
    counts = {name: facts["rows"] for name, facts in tables.items()}
    return Kept(directory, bool(settings.crypto_secret), writer.size, counts, len(calls), files, left)


def _table(connection: Connection, name: str, writer: Writer, without: Collection[str] = ()) -> dict[str, Any]:
    columns, count = rows.columns_of(connection, name), 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        for number, piece in rows.dump(connection, name, list(columns), without):
            count += number
            yield piece

    writer.add(f"{TABLES}/{name}", lines())
    return {"columns": columns, "rows": count}


def _journals(directory: Path, writer: Writer, mark: str) -> set[str]:
    """Copy what lies in journals; which calls those are. A file may be given back while it is read."""
    calls: set[str] = set()
    for path in [*journal.files(directory), directory / REFUSED]:
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            calls.update(entry.request_id for raw in data.splitlines() if (entry := journal.parse(raw)) is not None)
            if data.strip():
                writer.add(f"{JOURNAL}/{mark}-{path.name}" if path.name != REFUSED else f"{JOURNAL}/{REFUSED}", [data])
    return calls


def _later(main: Connection, other: Connection, calls: set[str], since: int) -> set[str]:
    """Calls whose log rows are there and which the books of the main database's moment don't have."""
    chosen = select(logs.c.request_id).where(logs.c.created_at >= since, logs.c.type == CONSUME)
    rows_of = {row[0] for row in other.execute(chosen) if row[0]}
    booked = {row[0] for row in main.execute(select(ledger.c.request_id).where(ledger.c.created_at >= since - _CLOCKS))}
    return rows_of - booked - calls


def _files(settings: Settings, writer: Writer) -> int:
    """Documents of one's own, files of secrets, and what sessions are signed with; how many."""
    count = 0
    for name, directory in (("specs", settings.spec_directory), ("secrets", settings.secret_directory)):
        for path in sorted(directory.rglob("*")):
            below = path.relative_to(directory)
            if path.is_file() and not any(part.startswith(".") for part in below.parts):
                writer.add(f"{FILES}/{name}/{below.as_posix()}", [path.read_bytes()])
                count += 1
    if (settings.data / SESSION).is_file():
        writer.add(f"{FILES}/{SESSION}", [(settings.data / SESSION).read_bytes()])
        count += 1
    return count
