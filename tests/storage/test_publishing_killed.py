"""A publisher that is killed before each of its statements: the old release stands whole, and the next one works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event

from engine.errors import Unavailable
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.releases import documents
from engine.storage.releases.documents import Author, StoredDocument
from tests.databases import ADMIN

PUBLISHER = Path(__file__).with_name("publisher.py")
EVERY = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
OLD = [("Price/a", "old"), ("Price/c", "old")]


def killed_before(statement: int, settings: Settings) -> bool:
    command = [sys.executable, str(PUBLISHER), str(settings.data), settings.sql_dsn, str(statement)]
    return subprocess.run(command, check=False).returncode != 0


def test_the_old_release_or_the_new_one_stands_whole(opened: tuple[Settings, Database], kind: str) -> None:
    if kind != "sqlite" and not EVERY:
        pytest.skip("nightly: at every statement on the servers")
    settings, db = opened
    first = [StoredDocument("Price", name, "console", "old") for name in ("a", "c")]
    assert documents.publish(db, 0, first, Author()) == 1
    statements = range(100) if EVERY else (3, 100)
    killed = 0
    for statement in statements:
        if not killed_before(statement, settings):
            break
        killed += 1
        assert documents.head(db) == 1
        assert [(one.title, one.text) for one in documents.listed(db)[1]] == OLD
        assert documents.newest(db)[0].content == documents.content_of(documents.listed(db)[1])
    assert killed > (5 if EVERY else 0)
    number, now = documents.listed(db)
    assert (number, [(one.title, one.text) for one in now]) == (2, [("Price/a", "new"), ("Price/b", "new")])
    assert documents.newest(db)[0].content == documents.content_of(now)
    assert documents.publish(db, 2, [StoredDocument("Price", "a", "console", "newer")], Author()) == 3


def cut(db: Database, kind: str, statement: int) -> list[int]:
    """Have the database end the writer's connection before a statement; what is given has one element then."""
    seen, done = [0], list[int]()

    def before(connection: Any, *_: Any) -> None:
        seen[0] += 1
        if seen[0] != statement or done:
            return
        done.append(statement)
        raw = connection.connection.driver_connection
        if kind == "sqlite":
            once = iter([1])
            raw.set_progress_handler(lambda: next(once, 0), 1)  # as a disk that fails under a statement
            return
        words = f"KILL {raw.thread_id()}" if kind == "mysql" else f"SELECT pg_terminate_backend({raw.info.backend_pid})"
        admin = create_engine(ADMIN[kind], isolation_level="AUTOCOMMIT")
        with admin.connect() as other:
            other.exec_driver_sql(words)
        admin.dispose()

    event.listen(db._writer, "before_cursor_execute", before)
    return done


def test_a_database_that_fails_between_two_statements(opened: tuple[Settings, Database], kind: str) -> None:
    settings, db = opened
    documents.publish(db, 0, [StoredDocument("Price", name, "console", "0") for name in ("a", "c")], Author())
    refused = 0
    for statement in range(1, 100):
        base, before = documents.listed(db)
        broken = open_database(settings, migrate=False)
        try:
            done = cut(broken, kind, statement)
            texts = [StoredDocument("Price", name, "console", str(statement)) for name in ("a", "c")]
            try:
                documents.publish(broken, base, texts, Author())
                told = ""
            except Unavailable as error:
                told, refused = str(error), refused + 1
        finally:
            broken.close()
        if not done:
            break
        head, now = documents.listed(db)
        whole = {(one.title, one.text) for one in now}
        if told:
            assert (head, whole) == (base, {(one.title, one.text) for one in before})
            assert "database" in told
        else:  # begun anew on another connection
            assert (head, whole) == (base + 1, {(f"Price/{name}", str(statement)) for name in ("a", "c")})
        assert documents.newest(db)[0].content == documents.content_of(now)
    assert statement > 5
    assert refused or kind != "sqlite"
    assert documents.publish(db, documents.head(db), [StoredDocument("Price", "a", "console", "last")], Author())
