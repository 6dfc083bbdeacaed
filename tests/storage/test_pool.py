"""SQL_MAX_OPEN_CONNS is a sum over a worker's pools: with one connection all goes on, and what is idle gives way."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from engine.settings import Settings
from engine.storage.database import Database, StorageError, connect, open_database
from engine.storage.dsn import resolve
from engine.storage.logdb import open_logs
from tests.databases import ADMIN, server_database
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, until

SERVERS = pytest.mark.parametrize("kind", ["mysql", "postgresql"], indirect=True)


def count(db: Database) -> int:
    """The test's other connections to its database."""
    sql = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE()",
    }
    return int(db.run(sql[db.kind], ())[0][0])


def put(db: Database, name: str) -> None:
    quote = db.dialect.identifier_preparer.quote("key")
    db.write(lambda c: c.execute(text(f"INSERT INTO options ({quote}, value) VALUES ('{name}', '1')")).rowcount)


def options(db: Database) -> int:
    return int(db.run("SELECT count(*) FROM options", ())[0][0])


@SERVERS
def test_with_one_connection_all_goes_on(empty: Settings) -> None:
    one = dataclasses.replace(empty, sql_max_open_conns=1)
    db = open_database(one)
    logs = open_logs(dataclasses.replace(one, log_sql_dsn=one.sql_dsn), db, migrate=True)
    logs.close()
    open_now, most, done = 0, 0, []

    def opened(*_: Any) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)

    def closed(*_: Any) -> None:
        nonlocal open_now
        open_now -= 1

    db.close()
    for engine in (db._reader, db._writer):
        event.listen(engine, "connect", opened)
        event.listen(engine, "close", closed)
    try:

        def work(name: str) -> None:
            try:
                for index in range(10):
                    put(db, f"{name}{index}")
                    options(db)
                done.append(name)
            except StorageError as error:
                done.append(str(error))

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == ["a", "b", "c", "d"]
        assert options(db) == 40
        assert most == 1
    finally:
        db.close()


@SERVERS
def test_idle_connections_are_kept_as_set_and_none_is_left_behind(empty: Settings) -> None:
    db = open_database(dataclasses.replace(empty, sql_max_idle_conns=2, sql_max_open_conns=8))
    watcher = connect(resolve(empty.sql_dsn, "", empty.data))
    try:
        gate = threading.Barrier(6)

        def work() -> None:
            with db.read() as connection:
                connection.execute(text("SELECT 1"))
                gate.wait(PATIENCE)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: count(watcher) <= 3)
        assert count(watcher) == 3
        for _ in range(3):
            with pytest.raises(StorageError):
                db.run("SELECT nonsense FROM nowhere", ())
        assert options(db) == 0
    finally:
        db.close()
        watcher.close()


@SERVERS
def test_a_connection_is_replaced_after_its_lifetime(empty: Settings) -> None:
    db = open_database(dataclasses.replace(empty, sql_max_lifetime=1, sql_max_open_conns=1))
    own = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[db.kind]
    try:
        first = db.run(own, ())
        assert db.run(own, ()) == first
        time.sleep(2.1)
        assert db.run(own, ()) != first
    finally:
        db.close()


@SERVERS
def test_what_nobody_needed_for_its_lifetime_is_closed(empty: Settings) -> None:
    db = open_database(dataclasses.replace(empty, sql_max_lifetime=1, sql_max_idle_conns=10))
    watcher = connect(resolve(empty.sql_dsn, "", empty.data))
    try:
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(db.read()).execute(text("SELECT 1"))
        assert count(watcher) >= 6
        time.sleep(1.1)
        assert options(db) == 0
        until(lambda: count(watcher) == 2)  # the one that was just used, and the watcher's
    finally:
        db.close()
        watcher.close()


@SERVERS
def test_who_waits_too_long_for_a_connection_is_told_which_setting_it_is(empty: Settings, monkeypatch: Any) -> None:
    monkeypatch.setattr("engine.storage.database._POOL_WAIT", 0.2)
    db = open_database(dataclasses.replace(empty, sql_max_open_conns=1))
    try:
        with db.read(), pytest.raises(StorageError, match="SQL_MAX_OPEN_CONNS"):
            options(db)
        assert options(db) == 0
    finally:
        db.close()


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[tuple[Settings, str]]:
    """A database of PostgreSQL whose role may have two connections, and the role."""
    with server_database("postgresql", tmp_path) as settings:
        role = f"bounded_{secrets.token_hex(4)}"
        name = settings.sql_dsn.rpartition("/")[2]
        admin = create_engine(ADMIN["postgresql"], isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 2"))
            connection.execute(text(f"ALTER DATABASE {name} OWNER TO {role}"))
        owned = make_url(ADMIN["postgresql"]).set(database=name)
        inside = create_engine(owned, isolation_level="AUTOCOMMIT")
        with inside.connect() as connection:
            connection.execute(text(f"ALTER SCHEMA public OWNER TO {role}"))
        inside.dispose()
        url = owned.set(drivername="postgresql", username=role, password="x")
        yield dataclasses.replace(settings, sql_dsn=url.render_as_string(hide_password=False)), role
        with admin.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} OWNER TO CURRENT_USER"))
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"))
        dropping = create_engine(owned, isolation_level="AUTOCOMMIT")
        with dropping.connect() as connection:
            connection.execute(text(f"REASSIGN OWNED BY {role} TO CURRENT_USER"))
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
        dropping.dispose()
        admin.dispose()


def test_idle_readers_give_way_to_a_commit_where_the_server_refuses_more(bounded: tuple[Settings, str]) -> None:
    open_database(bounded[0]).close()
    first, second = (open_database(bounded[0], migrate=False) for _ in range(2))
    try:
        assert options(first) == options(second) == 0
        put(first, "a")
        put(second, "b")
        assert options(first) == options(second) == 2
    finally:
        first.close()
        second.close()


ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "River"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}
PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: alder}
extends: openai-compatible
spec: {baseUrl: UPSTREAM, auth: {scheme: none}, models: [m]}
"""


def test_a_gateway_whose_workers_have_one_connection_each_books_every_call(bounded: tuple[Settings, str]) -> None:
    settings, role = bounded
    upstream = Upstream()
    upstream.script = lambda say: say.whole(ANSWER)
    watcher = create_engine(ADMIN["postgresql"], isolation_level="AUTOCOMMIT")

    def ask(sql: str) -> int:
        with watcher.connect() as connection:
            return int(connection.execute(text(sql)).scalar() or 0)

    # two workers, the processes that compile and do jobs, and one that the server has not yet seen leave
    with watcher.connect() as connection:
        connection.execute(text(f"ALTER ROLE {role} CONNECTION LIMIT 5"))
    env = {
        "SQL_DSN": settings.sql_dsn,
        "SQL_MAX_OPEN_CONNS": "1",
        "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}",
    }
    specs = {"alder.yaml": PROVIDER.replace("UPSTREAM", upstream.base)}
    gateway = Gateway(settings.data, env=env, specs=specs, workers=2)
    try:
        gateway.ready()
        most = 0
        for _ in range(40):
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            assert gateway.post("/v1/chat/completions", body).status_code == 200
            most = max(most, ask(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'"))
        assert most <= 5
        reader = create_engine(make_url(ADMIN["postgresql"]).set(database=settings.sql_dsn.rpartition("/")[2]))

        def rows() -> int:
            with reader.connect() as connection:
                return int(connection.execute(text("SELECT count(*) FROM logs WHERE type = 2")).scalar() or 0)

        until(lambda: rows() >= 40, words=rows)
        assert rows() == 40
        reader.dispose()
        assert "too many connections" not in gateway.output
    finally:
        gateway.stop()
        upstream.close()
        watcher.dispose()
