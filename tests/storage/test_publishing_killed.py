"""A publisher that is killed before each of its statements: the old release stands whole, and the next one works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.releases import documents
from engine.storage.releases.documents import Author, StoredDocument

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
