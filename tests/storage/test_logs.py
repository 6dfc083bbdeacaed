"""Group commit of log rows: what is put arrives once, whatever else goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.logs import ERROR, LogRow, LogWriter


def row(number: int, **more: Any) -> LogRow:
    made: LogRow = {"user_id": 1, "model_name": "m", "request_id": f"r{number}", "prompt_tokens": number}
    made.update(more)  # type: ignore[typeddict-item]
    return made


def rows(db: Database) -> list[dict[str, Any]]:
    with db.read() as connection:
        return [dict(found) for found in connection.execute(text("SELECT * FROM logs ORDER BY id")).mappings()]


def test_rows_arrive_with_all_their_columns(db: Database) -> None:
    writer = LogWriter(db)
    other = {"frt": 12, "release": "abc", "conversion": ["a", "b"], "losses": [["top_k", "no such field"]]}
    writer.put(row(1, username="李", group="g", is_stream=True, use_time=3, type=ERROR, ip="::1", other=other))
    writer.put(row(2))
    assert writer.flush()
    first, second = rows(db)
    assert (first["username"], first["group"], bool(first["is_stream"]), first["type"]) == ("李", "g", True, 5)
    assert json.loads(first["other"]) == other
    assert abs(first["created_at"] - time.time()) < 5
    assert (second["type"], second["token_id"], second["other"], bool(second["is_stream"])) == (2, 0, "", False)
    writer.close()


def test_a_thousand_rows_of_many_threads_arrive_once(db: Database) -> None:
    writer = LogWriter(db)
    threads = [
        threading.Thread(target=lambda start=start: [writer.put(row(start + i)) for i in range(100)])
        for start in range(0, 1000, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close()
    assert sorted(found["prompt_tokens"] for found in rows(db)) == list(range(1000))
    assert (writer.lost, writer.waiting) == (0, 0)


def test_waiting_for_a_row_means_it_is_committed(db: Database) -> None:
    writer = LogWriter(db)
    assert writer.put_wait(row(1))
    assert len(rows(db)) == 1
    writer.close()


def test_a_row_that_cannot_be_written_takes_no_other_with_it(db: Database) -> None:
    writer = LogWriter(db)
    for made in (row(1), row(2, prompt_tokens=2**70), row(3, username="nul\0 and " + "long" * 200)):
        writer.put(made)
    assert writer.close()
    found = rows(db)
    assert [r["request_id"] for r in found] == ["r1", "r3"]
    assert writer.lost == 1
    assert len(found[1]["username"]) == 191


def test_rows_wait_while_the_database_is_away(lite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lite.write(lambda connection: connection.exec_driver_sql("ALTER TABLE logs RENAME TO away").rowcount)
    writer = LogWriter(lite, limit=50)
    for number in range(80):
        writer.put(row(number))
    assert not writer.flush(0.3)
    assert writer.lost > 0
    assert writer.waiting <= 51
    lite.write(lambda connection: connection.exec_driver_sql("ALTER TABLE away RENAME TO logs").rowcount)
    assert writer.close()
    found = [r["prompt_tokens"] for r in rows(lite)]
    assert found == list(range(80 - len(found), 80))
    assert len(found) == 80 - writer.lost


def test_without_an_other_column_it_goes_to_the_side_table(lite: Database) -> None:
    db = lite
    db.write(lambda connection: connection.exec_driver_sql("ALTER TABLE logs DROP COLUMN other").rowcount)
    db.look()
    writer = LogWriter(db)
    writer.put(row(1, other={"frt": 7}))
    writer.put(row(2))
    assert writer.close()
    with db.read() as connection:
        kept = connection.execute(text("SELECT request_id, other FROM gatewright_log_extra")).all()
    assert [tuple(found) for found in kept] == [("r1", '{"frt":7}')]
    assert len(rows(db)) == 2


def test_closing_a_writer_that_wrote_nothing_is_quick(lite: Database) -> None:
    started = time.monotonic()
    assert LogWriter(lite).close()
    assert time.monotonic() - started < 0.5


UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, sys
from pathlib import Path
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.logs import LogWriter
db = open_database(Settings(data=Path(sys.argv[1]), sql_dsn=sys.argv[2]), migrate=False)
writer = LogWriter(db)
ticks = []
def tick():
    while True:
        ticks.append(1); gevent.sleep(0.001)
gevent.spawn(tick)
def calls(start):
    for number in range(start, start + 50):
        writer.put({"request_id": f"r{number}", "prompt_tokens": number})
        gevent.sleep(0)
gevent.joinall([gevent.spawn(calls, start) for start in range(0, 1000, 50)], raise_error=True)
assert writer.put_wait({"request_id": "last", "prompt_tokens": 1000})
assert writer.close()
assert len(ticks) > 3, "the loop stood still"
db.close()
"""


def test_under_gevent_rows_arrive_and_the_loop_goes_on(opened: tuple[Settings, Database]) -> None:
    settings, db = opened
    words = [sys.executable, "-c", UNDER_GEVENT, str(settings.data), settings.sql_dsn]
    done = subprocess.run(
        words, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(found["prompt_tokens"] for found in rows(db)) == list(range(1001))
