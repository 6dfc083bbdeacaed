"""The option LogConsumeEnabled switched off: no log rows for calls that were served, and books that are exact."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, text

from engine.ledger import export, journal
from engine.ledger.proof import verify
from engine.routing.group_options import GroupOptions
from engine.settings import Settings
from engine.storage.database import connect, open_database
from engine.storage.dsn import resolve
from engine.storage.rows import audit, budgets
from engine.storage.rows.budgets import Budget
from engine.storage.tables.core import options
from tests.databases import server_database
from tests.ledger.test_commit import Flaky
from tests.ledger.test_log_database import Two, two
from tests.soak.site import Seen, Site
from tests.support import until

__all__ = ["two"]


def found(books) -> list[tuple[str, int | str, str, int, int | None]]:
    proof = verify(books.db, books.db, books.data / "journal")
    return [(one.holder, one.id, one.what, one.expected, one.found) for one in [*proof.differences, *proof.older]]


def book_two(books) -> None:
    """A call of 5 without a log row and one of 7 with one."""
    ledger = books.ledger()
    ledger.start()
    ledger.put(books.entry(1, 5, logged=False))
    ledger.put(books.entry(2, 7))
    assert ledger.close()


def test_the_option_is_off_for_every_word_but_true():
    said = {None: True, "true": True, "false": False, "": False, "True": False, "0": False}
    for word, logged in said.items():
        assert GroupOptions({} if word is None else {"LogConsumeEnabled": word}).logged is logged, word


def test_a_call_without_a_log_row_is_booked_and_agrees(books):
    book_two(books)
    assert books.state() == (100_000 - 12, 12, 2, 100_000 - 12, 12, 1)
    assert found(books) == []
    rows = books.sql("SELECT request_id FROM logs")
    assert rows == [("r2",)]


def test_a_row_that_should_not_be_there_or_is_missing_differs(books):
    book_two(books)
    change = "UPDATE logs SET request_id = 'r1' WHERE request_id = 'r2'"
    books.db.write(lambda connection: connection.exec_driver_sql(change).rowcount)
    assert found(books) == [("log", "r1", "rows", 0, 1), ("log", "r2", "rows", 1, 0)]


def test_a_new_budget_knows_of_calls_without_log_rows(books):
    ledger = books.ledger()
    ledger.start()
    for number, logged in enumerate((False, True, False)):
        entry = books.entry(number, 5, logged=logged)
        entry.row.update(prompt_tokens=2, completion_tokens=1, created_at=entry.created_at)
        ledger.put(entry)
    ledger.put(books.entry(9, 100, logged=False, created_at=1))
    assert ledger.close()
    now = time.time()
    for holder, one, unit, spent in (("key", books.token, "quota", 15), ("user", books.user, "tokens", 9)):
        budgets.put(books.db, books.db, Budget(0, holder, one, "month", unit, 1000, 80))
        assert budgets.used(books.db, Budget(0, holder, one, "month", unit, 1000, 80), now) == spent


def test_the_journal_keeps_whether_a_row_is_wanted(light):
    entry = light.entry(1, 5, logged=False)
    assert journal.parse(journal.line(entry).rstrip(b"\n")) == entry
    older = journal._line(json.dumps([1, "r", 1, 2, 3, 0, 5, True, "upstream", {}]).encode())
    read = journal.parse(older.rstrip(b"\n"))
    assert read is not None
    assert read.logged, "a line of a release before this one"


def test_a_log_database_is_not_asked_for_calls_without_rows(two: Two) -> None:
    logs = Flaky(two.logs)
    logs.away = True
    books = two.books
    ledger = books.ledger(log_db=logs, in_memory=5)
    for number in range(20):
        ledger.put(books.entry(number, 2, logged=False))
    ledger.start()
    assert ledger.close(), "nothing waits for the log database"
    assert books.state()[1:3] == (40, 20)
    assert (two.rows(), list((books.data / "journal").iterdir())) == ([], [])
    assert two.agree()


def test_rows_of_mixed_calls_are_replayed_as_each_wants(two: Two) -> None:
    books = two.books
    ledger = books.ledger(log_db=two.logs)
    for number in range(10):
        ledger.put(books.entry(number, 2, logged=number % 2 == 0))
    ledger.journal.close()  # as a kill would leave it
    other = books.ledger(log_db=two.logs)
    other.start()
    journals = books.data / "journal"
    until(lambda: list(journals.iterdir()) == [other.journal._current.path], words=lambda: list(journals.iterdir()))
    assert other.close()
    assert two.rows() == [(f"r{number}", 2) for number in range(0, 10, 2)]
    assert books.state()[1:3] == (20, 10)
    assert two.agree()


def test_a_ledger_of_an_older_release_gets_the_column_and_its_rows_count_as_logged(empty: Settings) -> None:
    db = open_database(empty)
    db.write(lambda c: c.execute(text("ALTER TABLE gatewright_ledger DROP COLUMN logged")).rowcount)
    db.write(lambda c: c.execute(text("UPDATE gatewright_alembic SET version_num = '0002'")).rowcount)
    values = "('old', 1, 0, 0, 0, 5, TRUE)"
    columns = "request_id, created_at, user_id, token_id, channel_id, quota, counted"
    db.write(lambda c: c.execute(text(f"INSERT INTO gatewright_ledger ({columns}) VALUES {values}")).rowcount)
    db.close()
    open_database(empty).close()
    again = connect(resolve(empty.sql_dsn, empty.sqlite_path, Path(empty.data)))
    again.look()
    assert "logged" in again.columns["gatewright_ledger"]
    told = [(one.request_id, one.charged, one.wanted, one.rows) for one in audit.unmatched(again, again)]
    assert told == [("old", 5, 1, 0)]
    again.close()


PLACES = [("sqlite", ""), ("mysql", "postgresql"), ("postgresql", "sqlite")]


@pytest.fixture(params=PLACES, ids="-".join)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    main, log = request.param
    with ExitStack() as stack:
        dsns = [""] * 2
        for place, kind in enumerate((main, log)):
            if kind == "sqlite" and place:
                dsns[place] = f"sqlite:///{tmp_path / 'logs.db'}"
            elif kind not in ("", "sqlite"):
                dsns[place] = stack.enter_context(server_database(kind, tmp_path)).sql_dsn
        made = Site(tmp_path / "site", dsn=dsns[0], log_dsn=dsns[1], workers=1, env={"SYNC_FREQUENCY": "1"})
        stack.callback(made.close)
        yield made


def test_a_running_gateway_takes_up_the_option_and_its_books_agree(site: Site) -> None:
    seen, numbers = Seen(), iter(range(1, 1000))

    def say(value: str) -> None:
        row = {"key": "LogConsumeEnabled", "value": value}
        site.db.write(lambda c: c.execute(delete(options).where(options.c.key == row["key"])).rowcount)
        site.db.write(lambda c: c.execute(insert(options).values(row)).rowcount)
        time.sleep(1.5)  # the worker looks once a second

    def serve(count: int) -> None:
        for number in (next(numbers) for _ in range(count)):
            site.send(number, "stream" if number % 2 else "whole", seen)
        assert site.settle().agrees

    def logged() -> int:
        with site.log_db.read() as connection:
            return int(connection.execute(text("SELECT COUNT(*) FROM logs WHERE type = 2")).scalar() or 0)

    serve(6)
    assert logged() == 6
    say("false")
    serve(8)
    assert logged() == 6
    say("true")
    serve(4)
    assert logged() == 10
    proof = verify(site.db, site.log_db, site.directory / "data" / "journal")
    assert (proof.calls, proof.differences, proof.older) == (18, [], [])
    out = io.StringIO()
    assert export.write(audit.calls(site.db, site.log_db, 0, 2**40), out, "jsonl") == 18
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    bare = [line for line in lines if line["username"] is None]
    assert len(bare) == 8
    for line in bare:
        assert (line["model"], line["source"], line["user_id"]) == ("counted", "upstream", site.user)
        assert line["quota"] == line["prompt_tokens"] + line["completion_tokens"]
