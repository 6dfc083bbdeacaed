"""Documents of the database as the compiling process holds them: read once, and held where the database is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.releases import stored
from engine.releases.stored import Stored
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.faults import DatabaseAway
from engine.storage.releases import documents, machines
from engine.storage.releases.documents import Author, StoredDocument

LOG = logging.getLogger("tests.stored")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "EVERY", 0.0)


def away() -> Database:
    raise DatabaseAway("database tests: it is away")


def opened(data: Path) -> Callable[[], Database]:
    return lambda: open_database(Settings(data=data))


def test_a_start_without_the_database_goes_on_with_what_was_read(tmp_path: Path) -> None:
    one = Stored(opened(tmp_path), tmp_path, LOG)
    assert not one.changed()
    documents.publish(one.db, 0, [StoredDocument("Price", "a", "console", "text 🙂", line=3)], Author())
    assert one.changed()
    assert not one.changed()
    one.report({"release": 1, "running": "abc", "ok": True, "time": 1})
    assert [(row.release, row.program) for row in machines.listed(one.db)] == [(1, "abc")]
    again = Stored(away, tmp_path, LOG)
    assert (again.number, again.documents) == (1, one.documents)
    assert not again.changed()
    assert "it is away" in again.away
    one.close()
    db = open_database(Settings(data=tmp_path))
    assert machines.listed(db) == []
    db.close()
    third = Stored(opened(tmp_path), tmp_path, LOG)
    assert not third.changed()
    third.close()


def test_another_database_with_the_same_number_is_another_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        db = open_database(Settings(data=tmp_path / name))
        documents.publish(db, 0, [StoredDocument("Price", name, "console", name)], Author())
        db.close()
    first = Stored(opened(tmp_path / "a"), tmp_path, LOG)
    assert first.changed()
    first.close()
    second = Stored(opened(tmp_path / "b"), tmp_path, LOG)
    assert second.changed()
    assert [one.name for one in second.documents] == ["b"]
    second.close()
