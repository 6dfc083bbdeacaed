"""Backups under load and their way back, on each engine: the books agree, nothing is booked twice, nothing is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.care.archive import MANIFEST
from engine.care.backup import backup
from engine.care.restore import restore
from engine.cluster.holds import Holds
from engine.errors import Conflict, GatewrightError, Invalid, NotFound
from engine.ledger import proof
from engine.ledger.commit import Ledger
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.logdb import open_logs
from tests.databases import empty_database, server_database
from tests.ledger.conftest import Books, books_on
from tests.support import until

SECRET = "a long secret of the operator"


@contextmanager
def load(books: Books, log_db: object = None) -> Iterator[list[int]]:
    """Calls that are finished and booked all the while; the list has how many."""
    ledger = books.ledger(log_db=log_db)
    ledger.start()
    over, made = threading.Event(), [0]

    def calls() -> None:
        while not over.is_set():
            for _ in range(5):
                made[0] += 1
                ledger.put(books.entry(made[0], 3))
            over.wait(0.02)

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        until(lambda: made[0] >= 100, every=0.005)
        yield made
    finally:
        over.set()
        thread.join()
        ledger.close()


@pytest.mark.parametrize(
    ("source", "target"),
    [("sqlite", "postgresql"), ("mysql", "sqlite"), ("postgresql", "mysql")],
)
def test_a_backup_under_load_is_restored_elsewhere_and_the_books_agree(
    source: str, target: str, tmp_path: Path
) -> None:
    with empty_database(source, tmp_path / "old") as old, empty_database(target, tmp_path / "new") as new:
        old, new = replace(old, crypto_secret=SECRET), replace(new, crypto_secret=SECRET)
        with opened(old) as db, load(books_on(db, old.data)) as made:
            before = made[0]
            kept = backup(old, tmp_path / "kept")
        restored = restore(new, tmp_path / "kept")
        assert restored.rows == kept.rows
        with opened(new) as db:
            booked_again(db, new)
            result = proof.verify(db, db, new.data / "journal")
            assert result.agrees, result.differences
            assert result.calls >= before - 100  # what was still on its way to the journal is younger than the backup
            assert (result.users, result.tokens, result.waiting) == (1, 1, 0)


@contextmanager
def opened(settings: Settings) -> Iterator:
    db = open_database(settings)
    try:
        yield db
    finally:
        db.close()


def booked_again(db, settings: Settings, log_db=None) -> None:
    """What a start does first: book what journals hold."""
    holds = Holds(settings.data / "holds")
    ledger = Ledger(db, settings.data / "journal", holds, log_db=log_db)
    assert ledger.replay()
    ledger._feed.replay()
    ledger.close()
    holds.close()


def test_log_rows_of_a_database_of_their_own_come_along(tmp_path: Path) -> None:
    old = Settings(data=tmp_path / "old", log_sql_dsn=f"sqlite:///{tmp_path}/old/logs.db")
    new = Settings(data=tmp_path / "new", log_sql_dsn=f"sqlite:///{tmp_path}/new/logs.db")
    with opened(old) as db:
        log_db = open_logs(old, db, migrate=True)
        with load(books_on(db, old.data), log_db):
            backup(old, tmp_path / "kept")
        log_db.close()
    restore(new, tmp_path / "kept")
    with opened(new) as db:
        log_db = open_logs(new, db)
        booked_again(db, new, log_db)
        result = proof.verify(db, log_db, new.data / "journal")
        assert result.agrees, result.differences[:3]
        with log_db.read() as connection:
            rows = connection.exec_driver_sql("SELECT COUNT(*) FROM logs").scalar()
        assert rows == result.calls > 50
        log_db.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed backup with files."""
    base = tmp_path_factory.mktemp("kept")
    data = base / "data"
    settings = Settings(data=data, crypto_secret=SECRET)
    with opened(settings) as db:
        books_on(db, data).holds.close()
    (data / "specs" / "deep").mkdir(parents=True)
    (data / "specs" / "deep" / "own.yaml").write_text("own: document")
    (data / "secrets").mkdir()
    (data / "secrets" / "vendor.key").write_text("plain-vendor-key")
    backup(settings, base / "kept")
    return base / "kept"


def test_files_come_back_and_nothing_is_readable_without_the_secret(kept: Path, tmp_path: Path) -> None:
    for path in kept.rglob("*"):
        if path.is_file():
            assert b"plain-vendor-key" not in path.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0
    settings = Settings(data=tmp_path, crypto_secret=SECRET)
    restore(settings, kept)
    assert (tmp_path / "specs" / "deep" / "own.yaml").read_text() == "own: document"
    assert (tmp_path / "secrets" / "vendor.key").read_text() == "plain-vendor-key"
    assert (tmp_path / "secrets" / "vendor.key").stat().st_mode & 0o077 == 0


def spoilt(kept: Path, tmp_path: Path, how: str) -> Path:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(kept, copy)
    table = copy / "tables" / "users"
    if how == "cut":
        table.write_bytes(table.read_bytes()[:-5])
    elif how == "changed":
        data = bytearray(table.read_bytes())
        data[len(data) // 2] ^= 1
        table.write_bytes(bytes(data))
    elif how == "a file is gone":
        table.unlink()
    elif how == "no manifest":
        (copy / MANIFEST).unlink()
    elif how == "half a manifest":
        (copy / MANIFEST).write_text((copy / MANIFEST).read_text()[:200])
    else:
        facts = json.loads((copy / MANIFEST).read_text())
        facts |= {"newer": {"revision": "9999", "version": "9.9"}, "another form": {"format": 2}}[how]
        (copy / MANIFEST).write_text(json.dumps(facts))
    return copy


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("cut", Invalid, "users is cut or was changed"),
        ("changed", Invalid, "users is cut or was changed"),
        ("a file is gone", Invalid, "users: No such file"),
        ("no manifest", NotFound, "no whole backup"),
        ("half a manifest", Invalid, "cut or was changed"),
        ("newer", Invalid, "install gatewright 9.9"),
        ("another form", Invalid, "use the version that made it"),
    ],
)
def test_a_spoilt_backup_changes_nothing(kept: Path, tmp_path: Path, how: str, error: type, words: str) -> None:
    settings = Settings(data=tmp_path / "data", crypto_secret=SECRET)
    with pytest.raises(error, match=words):
        restore(settings, spoilt(kept, tmp_path, how))
    assert not settings.data.exists()


@pytest.mark.parametrize(("secret", "words"), [("", "is not set"), ("another secret, long", "is not the one")])
def test_without_its_secret_a_backup_is_refused(kept: Path, tmp_path: Path, secret: str, words: str) -> None:
    with pytest.raises(GatewrightError, match=words):
        restore(Settings(data=tmp_path / "data", crypto_secret=secret), kept)
    assert not (tmp_path / "data").exists()


def test_what_is_there_is_not_written_over(kept: Path, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, crypto_secret=SECRET)
    restore(settings, kept)
    with pytest.raises(Conflict, match="not empty"):
        restore(settings, kept)
    with pytest.raises(Conflict, match="there already"):
        restore(replace(settings, data=tmp_path / "other", sqlite_path=str(tmp_path / "gatewright.db")), kept)
    with pytest.raises(Conflict, match="not empty"):
        backup(settings, kept)


def test_what_fails_on_the_way_leaves_an_empty_database(kept: Path, tmp_path: Path) -> None:
    copy = spoilt(kept, tmp_path, "newer")
    facts = json.loads((copy / MANIFEST).read_text())
    facts["revision"], facts["tables"]["users"]["rows"] = "0001", 77
    (copy / MANIFEST).write_text(json.dumps(facts))
    with server_database("postgresql", tmp_path / "data") as settings:
        settings = replace(settings, crypto_secret=SECRET)
        with pytest.raises(Invalid, match="users has 1 rows, not 77"):
            restore(settings, copy)
        assert restore(settings, kept).rows["users"] == 1


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with opened(settings):
        pass
    with pytest.raises(GatewrightError, match="can't write to"):
        backup(settings, Path("/proc/kept"))
    with pytest.raises(NotFound, match="is empty"):
        backup(replace(settings, sqlite_path=str(tmp_path / "none.db")), tmp_path / "kept")
    assert not list(tmp_path.glob("kept*"))
