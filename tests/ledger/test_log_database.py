"""Log rows in a database of their own, of the same engine or another: each once, whichever of the two is away."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.accounts import redemptions
from engine.ledger import export
from engine.ledger.feed import Feed
from engine.ledger.journal import Journal
from engine.ledger.proof import verify
from engine.ledger.reserve import Reserves
from engine.ledger.terms import Terms
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.logdb import open_logs
from engine.storage.rows import audit
from tests.databases import Opened, emptied, server_database
from tests.ledger.conftest import Books, books_on
from tests.ledger.test_commit import ROOT, Flaky
from tests.support import until

PAIRS = [("sqlite", "mysql"), ("sqlite", "sqlite"), ("mysql", "postgresql"), ("postgresql", "sqlite")]


@dataclass
class Two:
    """Books in one database, and another for their log rows."""

    books: Books
    settings: Settings
    logs: Database

    def rows(self) -> list[tuple[str, int]]:
        with self.logs.read() as connection:
            found = connection.exec_driver_sql("SELECT request_id, quota FROM logs ORDER BY request_id")
            return [tuple(row) for row in found]

    def agree(self) -> bool:
        return verify(self.books.db, self.logs, self.books.data / "journal").agrees


@pytest.fixture(params=PAIRS, ids="-".join)
def two(request: pytest.FixtureRequest, tmp_path: Path, shared: Callable[[str], Opened]) -> Iterator[Two]:
    main, log = request.param
    with ExitStack() as stack:
        settings = Settings(data=tmp_path / "main")
        if main == "sqlite":
            db = open_database(settings)
            stack.callback(db.close)
        else:
            settings, db = shared(main)
            stack.callback(db.write, emptied)
        dsn = f"sqlite:///{tmp_path / 'logs.db'}"
        if log != "sqlite":
            dsn = stack.enter_context(server_database(log, tmp_path)).sql_dsn
        settings = Settings(data=tmp_path / "main", sql_dsn=settings.sql_dsn, log_sql_dsn=dsn)
        logs = open_logs(settings, db, migrate=True)
        stack.callback(logs.close)
        books = books_on(db, tmp_path / "own")
        stack.callback(books.holds.close)
        yield Two(books, settings, logs)


def test_rows_are_written_once_though_both_answers_are_lost(two: Two) -> None:
    main, logs = Flaky(two.books.db), Flaky(two.logs)
    main.after = logs.after = 1
    ledger = two.books.ledger(main, log_db=logs)
    ledger.start()
    for number in range(20):
        ledger.put(two.books.entry(number, 3))
    assert ledger.close()
    assert two.books.state() == (100_000 - 60, 60, 20, 100_000 - 60, 60, 0), "no log row in the main database"
    assert two.rows() == sorted((f"r{number}", 3) for number in range(20))
    assert two.agree()


def test_money_is_booked_while_the_log_database_is_away(two: Two) -> None:
    logs = Flaky(two.logs)
    logs.away = True
    books = two.books
    ledger = books.ledger(log_db=logs, in_memory=50)
    ledger.start()
    reserves = Reserves(books.db, books.holds, away=lambda: ledger.away)
    for number in range(500):
        held = reserves.hold(books.user, books.token, 2, Terms(exposure=0))
        held.settle(2)
        ledger.put(books.entry(number, 2))
    until(lambda: books.state()[1] == 1000)
    assert not ledger.away, "no exposure is counted against callers"
    until(lambda: books.holds.open(books.user, books.user * 2 + 2) == 0)  # told just after the database has it
    assert ledger._feed.waiting <= 50, "memory is bounded, the journal has the rest"
    assert two.agree(), "what lies in the journal is on its way"
    assert two.rows() == []
    logs.away = False
    assert ledger.close(30)
    assert two.rows() == sorted((f"r{number}", 2) for number in range(500))
    assert two.agree()
    assert list((books.data / "journal").iterdir()) == []


def test_a_period_is_exported_from_both(two: Two) -> None:
    ledger = two.books.ledger(log_db=two.logs)
    ledger.start()
    for number in range(3):
        entry = two.books.entry(number, 7)
        entry.row.update(username="李雷", upstream_request_id=f"up-{number}")
        ledger.put(entry)
    assert ledger.close()
    out = io.StringIO()
    assert export.write(audit.calls(two.books.db, two.logs, 0, 2**40), out, "jsonl") == 3
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(one["username"], one["upstream_request_id"], one["quota"]) for one in told] == [
        ("李雷", f"up-{number}", 7) for number in range(3)
    ]


def test_a_code_is_redeemed_while_the_log_database_is_away(two: Two) -> None:
    logs: Any = Flaky(two.logs)
    db, user = two.books.db, two.books.user
    one, other = redemptions.create(db, "c", 50, count=2)
    assert redemptions.redeem(db, logs, one, user) == 50
    logs.away = True
    assert redemptions.redeem(db, logs, other, user) == 50
    assert two.books.state()[0] == 100_100
    assert two.rows() == [("", 50)]


KILLED = """
import os, signal, sys
from pathlib import Path
from engine.ledger.commit import Ledger
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.logdb import open_logs
from engine.storage.rows.posting import Entry
journal, data, dsn, log_dsn, user, token, when = sys.argv[1:]
settings = Settings(data=Path(data), sql_dsn=dsn, log_sql_dsn=log_dsn)
db = open_database(settings, migrate=False)
logs = open_logs(settings, db)
real = logs.write
def write(work, **more):
    if when == "after":
        real(work, **more)
    os.kill(os.getpid(), signal.SIGKILL)
logs.write = write
ledger = Ledger(db, Path(journal), log_db=logs)
for n in range(50):
    row = {"user_id": int(user), "request_id": f"k{n:02}", "quota": 3}
    ledger.put(Entry(f"k{n:02}", 1, int(user), int(token), 0, 3, True, "upstream", row))
ledger.start()
ledger.flush(30)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_between_the_two_commits_is_made_good_by_a_neighbour(two: Two, when: str) -> None:
    books, settings = two.books, two.settings
    command = [sys.executable, "-c", KILLED, str(books.data / "journal"), str(settings.data), settings.sql_dsn]
    command += [settings.log_sql_dsn, str(books.user), str(books.token), when]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert books.state()[1:3] == (150, 50), "the main database has them"
    assert len(two.rows()) == (50 if when == "after" else 0)
    logs = Flaky(two.logs)
    logs.away = True
    ledger = books.ledger(log_db=logs)
    ledger.start()
    until(lambda: bool(list((books.data / "journal").glob("*.booked"))))
    assert two.agree()
    logs.away = False
    until(lambda: not list((books.data / "journal").glob("*.booked")))
    assert ledger.close()
    assert two.rows() == [(f"k{n:02}", 3) for n in range(50)]
    assert books.state()[1:3] == (150, 50)
    assert two.agree()


def test_two_who_write_the_same_rows_at_once_write_them_once(two: Two) -> None:
    feeds = [Feed(two.logs, two.books.db, two.books.data, Journal(two.books.data / name), 100) for name in "ab"]
    entries = [two.books.entry(number, 1) for number in range(300)]
    start = threading.Barrier(2)

    def write(feed: Feed) -> None:
        start.wait()
        for place in range(0, 300, 20):
            assert feed.patiently(entries[place : place + 20])

    threads = [threading.Thread(target=write, args=(feed,)) for feed in feeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert two.rows() == sorted((f"r{number}", 1) for number in range(300))


def test_a_call_that_the_main_database_refuses_has_no_log_row(two: Two) -> None:
    ledger = two.books.ledger(log_db=two.logs)
    ledger.put(two.books.entry(1, 5))
    ledger.put(two.books.entry(2, 5, channel_id=2**70))
    ledger.start()
    assert ledger.close()
    assert two.rows() == [("r1", 5)]
    proof = verify(two.books.db, two.logs, two.books.data / "journal")
    assert (proof.refused, proof.differences) == (1, [])
