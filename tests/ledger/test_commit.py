"""From journal to database: each call once, whatever is repeated, interrupted, away or at odds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from engine.ledger import journal, proof
from engine.ledger.journal import Journal
from engine.ledger.proof import verify
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.faults import DatabaseAway
from tests.ledger.conftest import Books
from tests.support import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]


class Flaky:
    """A database whose writes fail as long as ``away``; ``after`` fails once the write was made."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.away = False
        self.after = 0
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def write(self, work: Any, *, durable: bool = True) -> Any:
        self.writes += 1
        if self.away:
            raise DatabaseAway("away") from OperationalError("x", {}, Exception("gone"))
        made = self._db.write(work, durable=durable)
        if self.after:
            self.after -= 1
            raise DatabaseAway("the answer was lost") from OperationalError("x", {}, Exception("gone"))
        return made


def test_counters_ledger_and_log_rows_are_of_one_transaction(books):
    ledger = books.ledger()
    ledger.start()
    for number in range(100):
        ledger.put(books.entry(number, number))
    assert ledger.close()
    total = sum(range(100))
    assert books.state() == (100_000 - total, total, 100, 100_000 - total, total, 100)
    assert books.sql("SELECT COUNT(*), SUM(quota) FROM gatewright_ledger")[0] == (100, total)
    assert verify(books.db, books.db, books.data / "journal").differences == []
    assert list((books.data / "journal").glob("*.log")) == []


def test_what_gathered_during_a_commit_goes_into_the_next(light):
    flaky = Flaky(light.db)
    ledger = light.ledger(flaky)
    for number in range(1000):
        ledger.put(light.entry(number, 1))
    ledger.start()
    assert ledger.close()
    assert flaky.writes <= 3
    assert light.state()[1] == 1000


def test_the_same_request_id_is_charged_once(books):
    for _ in range(2):
        ledger = books.ledger()
        ledger.start()
        for number in range(20):
            ledger.put(books.entry(number, 5))
        assert ledger.close()
    assert books.state()[1:3] == (100, 20)


def test_a_commit_whose_answer_was_lost_is_not_made_twice(books):
    flaky = Flaky(books.db)
    flaky.after = 2
    ledger = books.ledger(flaky)
    ledger.start()
    for number in range(10):
        ledger.put(books.entry(number, 7))
    assert ledger.close()
    assert books.state()[1:3] == (70, 10)


def test_a_database_that_is_away_loses_nothing(light):
    flaky = Flaky(light.db)
    flaky.away = True
    ledger = light.ledger(flaky, in_memory=50)
    ledger.start()
    for number in range(500):
        ledger.put(light.entry(number, 1))
    until(lambda: ledger.away)
    assert len(ledger._queue) <= 50, "memory is bounded, the journal has the rest"
    flaky.away = False
    for number in range(500, 600):
        ledger.put(light.entry(number, 1))
    assert ledger.close(20)
    assert light.state()[1:3] == (600, 600)
    assert not ledger.away


def test_log_rows_in_a_database_of_their_own_are_written_once_too(light, tmp_path):
    other = Flaky(open_database(Settings(data=tmp_path / "logs")))
    other.after = 1  # the log rows were written, but nobody heard of it
    flaky = Flaky(light.db)
    flaky.after = 1
    ledger = light.ledger(flaky, log_db=other)
    ledger.start()
    for number in range(20):
        ledger.put(light.entry(number, 3))
    assert ledger.close()
    assert light.state()[1:3] == (60, 20)
    assert light.state()[5] == 0, "none in the main database"
    with other.read() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*), SUM(quota) FROM logs").one() == (20, 60)
    assert verify(light.db, other, light.data / "journal").agrees
    other.close()


def test_a_row_that_can_not_be_written_is_set_aside_and_the_others_are_kept(light):
    ledger = light.ledger()
    ledger.start()
    bad = light.entry(1, 5, channel_id=2**70)
    ledger.put(light.entry(0, 5))
    ledger.put(bad)
    ledger.put(light.entry(2, 5))
    assert ledger.close()
    assert light.state()[1] == 10
    proof = verify(light.db, light.db, light.data / "journal")
    assert proof.refused == 1
    assert not proof.agrees


KILLED = """
import os, signal, sys, time
from pathlib import Path
from engine.ledger.journal import Journal, line
from engine.storage.rows.posting import Entry
journal = Journal(Path(sys.argv[1]))
for n in range(50):
    row = {"user_id": int(sys.argv[2]), "request_id": f"k{n}", "quota": 3}
    journal.append(line(Entry(f"k{n}", 1, int(sys.argv[2]), int(sys.argv[3]), 0, 3, True, "upstream", row)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed(books) -> None:
    command = [sys.executable, "-c", KILLED, str(books.data / "journal"), str(books.user), str(books.token)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9


def test_the_journal_of_a_killed_process_is_replayed_by_a_neighbour(books):
    ledger = books.ledger()
    ledger.start()
    _killed(books)
    until(lambda: books.state()[1] == 150)
    assert ledger.close()
    _killed(books)  # the same calls once more: they are in the ledger already
    again = books.ledger()
    again.start()
    until(lambda: not list((books.data / "journal").glob("*.log"))[1:])
    assert again.close()
    assert books.state()[1:3] == (150, 50)


def test_a_torn_line_is_left_out_and_the_others_are_replayed(light):
    _killed(light)
    path = next((light.data / "journal").glob("*.log"))
    raw = path.read_bytes()
    path.write_bytes(raw[:-20])
    with path.open("ab") as file:
        file.write(b"\nnothing that was ever written\n")
    ledger = light.ledger()
    assert ledger.replay()
    assert light.state()[1] == 49 * 3
    assert ledger.close()


def test_the_journal_of_a_living_process_is_left_alone(tmp_path):
    mine = Journal(tmp_path)
    assert list(journal.left_behind(tmp_path)) == []
    mine.close()


def test_a_journal_gives_its_room_back_and_goes_on_in_a_new_file(light):
    mine = Journal(light.data / "j", rotate=2000)
    segments = [mine.append(journal.line(light.entry(number, 1))) for number in range(100)]
    assert len({segment.path for segment in segments}) > 5
    for segment in segments:
        mine.settled(segment)
    mine.release()
    assert len(list((light.data / "j").glob("*.log"))) == 1
    mine.close()
    assert list((light.data / "j").iterdir()) == []


def test_a_full_disk_is_told_and_the_call_is_still_booked(light, monkeypatch):
    ledger = light.ledger()
    ledger.start()
    real = os.write
    full = True

    def write(fd: int, data: bytes) -> int:
        if full and fd == ledger.journal._current.fd:
            raise OSError(28, "no space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    ledger.put(light.entry(1, 5))
    assert not ledger.ready()
    full = False
    assert ledger.ready()
    assert ledger.flush()
    assert ledger.close()
    assert light.state()[1] == 5


def test_names_with_half_a_character_are_booked(light):
    ledger = light.ledger()
    ledger.start()
    entry = light.entry(1, 5)
    entry.row["model_name"] = "m\ud800"
    ledger.put(entry)
    assert ledger.close()
    assert light.sql("SELECT model_name, quota FROM logs") == [("m?", 5)]
    assert light.state()[1] == 5


def test_numbers_beyond_64_bits_are_booked(light):
    ledger = light.ledger()
    ledger.start()
    entry = light.entry(1, 5)
    entry.row["other"] = {"cache_tokens": 10**30, "each": [-(2**70), 7, True]}
    ledger.put(entry)
    assert ledger.close()
    written = {"cache_tokens": 2**63 - 1, "each": [1 - 2**63, 7, True]}
    assert [json.loads(row[0]) for row in light.sql("SELECT other FROM logs")] == [written]
    assert light.state()[1] == 5


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
def test_letters_that_an_older_table_does_not_hold_keep_no_charge_out(books):
    books.db.write(lambda c: c.exec_driver_sql("ALTER TABLE logs CONVERT TO CHARACTER SET utf8mb3").rowcount)
    try:
        ledger = books.ledger()
        ledger.start()
        ledger.put(books.entry(1, 5))
        odd = books.entry(2, 5)
        odd.row["other"] = {"losses": [["\U0001f600", "no such field"]], "name": "\u4f60"}
        ledger.put(odd)
        assert ledger.close()
        assert books.state()[1] == 10
        told = books.sql("SELECT other FROM logs WHERE request_id = 'r2'")[0][0]
        assert told == '{"losses":[["?","no such field"]],"name":"?"}'
        assert verify(books.db, books.db, books.data / "journal").agrees
    finally:
        books.db.write(lambda c: c.exec_driver_sql("ALTER TABLE logs CONVERT TO CHARACTER SET utf8mb4").rowcount)


@pytest.mark.parametrize("nodes", [4])
def test_parallel_commits_on_the_same_accounts_do_not_deadlock(opened, books, nodes):
    """Two hundred calls of the same users from several nodes, each with a connection of its own, in mixed order."""
    settings, _ = opened
    from engine.accounts.keys import create_key
    from engine.accounts.users import create_user

    people = [(books.user, books.token)]
    for name in ("two", "three"):
        user = create_user(books.db, name, "a long password", quota=0)
        people.append((user, create_key(books.db, user, "k", quota=0).token_id))
    opened_here = [open_database(settings, migrate=False) for _ in range(nodes)]
    errors: list[BaseException] = []

    def work(node: int) -> None:
        try:
            from engine.ledger.commit import Ledger

            ledger = Ledger(opened_here[node], books.data / f"journal{node}")
            ledger.start()
            for number in range(50):
                user, token = people[(number * (node + 1)) % 3]
                ledger.put(books.entry(number + node * 1000, 1, user_id=user, token_id=token))
                if number % 5 == 0:
                    ledger.flush(20)
            assert ledger.close(30)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(node,)) for node in range(nodes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in opened_here:
        one.close()
    assert not errors
    assert books.sql("SELECT SUM(used_quota), SUM(request_count) FROM users")[0] == (50 * nodes, 50 * nodes)
    assert verify(books.db, books.db, books.data / "journal").agrees


UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, sys
from pathlib import Path
from engine.ledger.commit import Ledger
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows.posting import Entry
data = Path(sys.argv[1])
db = open_database(Settings(data=data, sql_dsn=sys.argv[2], sql_slow_threshold_ms=0), migrate=False)
ledger = Ledger(db, data / "journal")
ledger.start()
ticks = []
def tick():
    while True:
        ticks.append(1); gevent.sleep(0.001)
gevent.spawn(tick)
def calls(start):
    for n in range(start, start + 50):
        row = {"request_id": f"g{n}", "quota": 1}
        ledger.put(Entry(f"g{n}", 1, int(sys.argv[3]), int(sys.argv[4]), 0, 1, True, "upstream", row))
        gevent.sleep(0)
gevent.joinall([gevent.spawn(calls, start) for start in range(0, 1000, 50)], raise_error=True)
assert ledger.close()
assert len(ticks) > 3, "the loop stood still"
db.close()
"""


def test_under_gevent_calls_are_booked_and_the_loop_goes_on(opened, books):
    settings, _ = opened
    words = [
        sys.executable,
        "-c",
        UNDER_GEVENT,
        str(settings.data),
        settings.sql_dsn,
        str(books.user),
        str(books.token),
    ]
    done = subprocess.run(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert books.state()[1:3] == (1000, 1000)


def test_what_a_stopping_process_booked_does_not_look_as_if_it_waited(light: Books) -> None:
    ledger = light.ledger()
    ledger.start()
    ledger.put(light.entry(1, 5))
    assert ledger.rest()
    assert proof.lying(light.data / "journal") == set()
    ledger.put(light.entry(2, 5))  # a call that outlives its worker's time
    assert proof.lying(light.data / "journal") == {"r2"}
    ledger.close()
