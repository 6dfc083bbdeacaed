"""Writes of many processes and greenlets: nobody meets a locked database, nothing is lost, no password is shown."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, text

from engine.settings import Settings
from engine.storage.database import Database, StorageError, open_database
from tests.support import PATIENCE

ROOT = Path(__file__).parents[2]
COUNT = """
import sys
{before}
from pathlib import Path
from sqlalchemy import text
from engine.settings import Settings
from engine.storage.database import open_database
db = open_database(Settings(data=Path(sys.argv[1]), sql_slow_threshold_ms=0), migrate=False)
def work(connection):
    value = int(connection.execute(text("SELECT value FROM options WHERE key = 'n'")).scalar())
    connection.execute(text("UPDATE options SET value = :v WHERE key = 'n'"), {{"v": str(value + 1)}})
{run}
db.close()
"""
PLAIN = COUNT.format(before="", run="for _ in range(150): db.write(work, durable=False)")
GREENLETS = COUNT.format(
    before="from gevent import monkey; monkey.patch_all()\nimport gevent",
    run=(
        "ticks = []\n"
        "def tick():\n"
        "    while True:\n"
        "        ticks.append(1); gevent.sleep(0.001)\n"
        "ticker = gevent.spawn(tick)\n"
        "gevent.joinall([gevent.spawn(lambda: [db.write(work, durable=False) for _ in range(15)]) for _ in range(10)],"
        " raise_error=True)\n"
        "assert len(ticks) > 3, 'the loop stood still'\n"
    ),
)


def test_processes_that_read_and_write_lose_nothing(lite: Database, tmp_path: Path) -> None:
    lite.write(lambda c: c.execute(text("INSERT INTO options (key, value) VALUES ('n', '0')")).rowcount)
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for code in (PLAIN, PLAIN, GREENLETS)
    ]
    for process in started:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    with lite.read() as connection:
        assert connection.execute(text("SELECT value FROM options")).scalar() == "450"


def test_a_failed_write_leaves_nothing(db: Database) -> None:
    quote = db.dialect.identifier_preparer.quote

    def work(connection: Connection) -> None:
        connection.execute(text(f"INSERT INTO options ({quote('key')}, value) VALUES ('a', '1')"))
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        db.write(work)
    with db.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM options")).scalar() == 0
    db.write(lambda c: c.execute(text(f"INSERT INTO options ({quote('key')}, value) VALUES ('a', '1')")).rowcount)


@pytest.mark.parametrize("kind", ["mysql", "postgresql"], indirect=True)
def test_a_deadlock_is_tried_again(db: Database) -> None:
    quote = db.dialect.identifier_preparer.quote
    for name in "ab":
        db.write(
            lambda c, name=name: c.execute(text(f"INSERT INTO options ({quote('key')}, value) VALUES ('{name}', '0')"))
        )
    meet = threading.Barrier(2)
    tries: list[str] = []

    def cross(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            tries.append(first)
            for name in (first, second):
                connection.execute(
                    text(f"UPDATE options SET value = concat(value, 'x') WHERE {quote('key')} = '{name}'")
                )
                if name == first and len(tries) <= 2:
                    meet.wait(PATIENCE)

        db.write(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    with db.read() as connection:
        assert [row[0] for row in connection.execute(text("SELECT value FROM options"))] == ["0xx", "0xx"]
    assert len(tries) == 3


@pytest.mark.parametrize("kind", ["mysql", "postgresql"], indirect=True)
def test_a_connection_that_died_is_replaced(db: Database, kind: str) -> None:
    query = db.query(select(func.count()).select_from(text("options")))
    assert query.one() == (0,)
    sql = {
        "mysql": "SELECT GROUP_CONCAT(id) FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> connection_id()",
        "postgresql": "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    }[kind]

    def kill(connection: Connection) -> None:
        found = connection.execute(text(sql)).scalar()
        for process in str(found).split(",") if kind == "mysql" and found else []:
            connection.exec_driver_sql(f"KILL {process}")

    db.write(kill)
    assert query.one() == (0,)
    assert db.write(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1


@pytest.mark.parametrize(
    "dsn", ["postgres://postgres:hidden-word@127.0.0.1:9/x", "root:hidden-word@tcp(127.0.0.1:9)/x"]
)
def test_a_server_that_is_not_there_is_told_without_the_password(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_database(Settings(data=tmp_path, sql_dsn=dsn))
    assert "127.0.0.1:9" in str(caught.value)
    told: BaseException | None = caught.value
    while told is not None:
        assert "hidden-word" not in str(told)
        told = told.__cause__


def test_the_file_is_for_its_owner_only(lite: Database, tmp_path: Path) -> None:
    assert (tmp_path / "gatewright.db").stat().st_mode & 0o077 == 0
