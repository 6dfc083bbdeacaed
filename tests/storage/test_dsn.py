"""Every written form of SQL_DSN, and that none of them is ever repeated in an error."""

from __future__ import annotations

import secrets
import ssl
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import create_engine

from engine.errors import Invalid
from engine.storage.database import connect
from engine.storage.dsn import resolve
from engine.storage.faults import DatabaseAway
from tests.databases import SERVERS
from tests.support import missing

DATA = Path("/data")


@pytest.mark.parametrize("dsn", ["", "local", "local-anything"])
def test_empty_and_local_mean_sqlite_in_the_data_directory(dsn: str) -> None:
    target = resolve(dsn, "", DATA)
    assert (target.kind, target.path) == ("sqlite", Path("/data/gatewright.db"))


def test_parameters_of_the_sqlite_path_are_no_part_of_the_name() -> None:
    target = resolve("", "/x/one-api.db?_busy_timeout=30000", DATA)
    assert (target.path, target.busy_ms) == (Path("/x/one-api.db"), 30000)


@pytest.mark.parametrize(("dsn", "path"), [("sqlite:///here.db", "here.db"), ("sqlite:////there/x.db", "/there/x.db")])
def test_sqlalchemys_sqlite_form(dsn: str, path: str) -> None:
    assert resolve(dsn, "", DATA).path == Path(path)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgres://u:p%40ss@db.example:6432/name?sslmode=require&TimeZone=Asia/Shanghai&pool_max_conns=9",
        "postgresql://u:p%40ss@db.example:6432/name?sslmode=require&TimeZone=Asia/Shanghai",
        "postgresql+psycopg://u:p%40ss@db.example:6432/name?sslmode=require&TimeZone=Asia/Shanghai",
    ],
)
def test_postgresql_forms(dsn: str) -> None:
    target = resolve(dsn, "", DATA)
    url = target.url
    assert (target.kind, url.drivername) == ("postgresql", "postgresql+psycopg")
    assert (url.username, url.password, url.host, url.port, url.database) == ("u", "p@ss", "db.example", 6432, "name")
    assert dict(url.query) == {"sslmode": "require", "options": "-c TimeZone=Asia/Shanghai"}


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("u:p@tcp(h:3307)/n?charset=utf8mb4&parseTime=True&loc=Local", ("u", "p", "h", 3307, "n")),
        ("u:p@ss:w/o(rd)@tcp(h)/n", ("u", "p@ss:w/o(rd)", "h", 3306, "n")),
        ("u:p@tcp([::1]:3306)/n", ("u", "p", "::1", 3306, "n")),
        ("u@tcp(h:1)/n?loc=Asia%2FShanghai", ("u", None, "h", 1, "n")),
        ("u:p@/n", ("u", "p", "127.0.0.1", 3306, "n")),
        ("u:p@tcp(h:1)/a%20b?loc=Asia/Shanghai", ("u", "p", "h", 1, "a b")),
        ("u:a?b/c#d%20@:(x)@tcp(h:1)/n?loc=Asia/Shanghai", ("u", "a?b/c#d%20@:(x)", "h", 1, "n")),
        ("u:p@tcp(h)/n?x=a(b)/c", ("u", "p", "h", 3306, "n")),
        ("mysql://u:p@h:3307/n", ("u", "p", "h", 3307, "n")),
        ("mysql+pymysql://u:p@h:3307/n?charset=utf8mb4", ("u", "p", "h", 3307, "n")),
    ],
)
def test_mysql_forms(dsn: str, expected: tuple[object, ...]) -> None:
    target = resolve(dsn, "", DATA)
    url = target.url
    assert (target.kind, url.drivername) == ("mysql", "mysql+pymysql")
    assert (url.username, url.password, url.host, url.port, url.database) == expected
    assert url.query["charset"] == "utf8mb4"


def test_a_mysql_socket_and_times_in_gos_notation() -> None:
    dsn = "u:p?/w@unix(/run/mysqld/mysqld.sock)/n?timeout=5s&readTimeout=1m30s&loc=Asia/Shanghai"
    url = resolve(dsn, "", DATA).url
    assert (url.password, url.database) == ("p?/w", "n")
    assert url.host is None
    assert url.query["unix_socket"] == "/run/mysqld/mysqld.sock"
    assert (url.query["connect_timeout"], url.query["read_timeout"]) == ("5", "90")


@pytest.mark.parametrize(
    ("word", "host_checked", "verified"),
    [("true", True, ssl.CERT_REQUIRED), ("skip-verify", False, ssl.CERT_NONE), ("preferred", False, ssl.CERT_NONE)],
)
def test_a_mysql_server_is_verified_as_gos_driver_does(word: str, host_checked: bool, verified: int) -> None:
    target = resolve(f"u:p@tcp(h)/n?tls={word}", "", DATA)
    given = create_engine(target.url, connect_args=dict(target.arguments)).dialect.create_connect_args(target.url)[1]
    context = pymysql.Connection(**given, **target.arguments, defer_connect=True).ctx
    assert (context.check_hostname, context.verify_mode) == (host_checked, verified)


def test_a_postgresql_socket_and_a_search_path_of_several_words() -> None:
    target = resolve("postgres://u:p@/n?host=/var/run/postgresql&port=5433&search_path=a, b", "", DATA)
    given = create_engine(target.url).dialect.create_connect_args(target.url)[1]
    assert (given["host"], int(given["port"]), given["dbname"]) == ("/var/run/postgresql", 5433, "n")
    assert given["options"] == r"-c search_path=a,\ b"


@pytest.mark.parametrize("dsn", ["postgres://postgres@/postgres?host=/var/run/postgresql", "root@unix({socket})/mysql"])
def test_servers_are_reached_by_their_sockets(dsn: str) -> None:
    socket = Path("/run/mysqld/mysqld.sock")
    if not socket.exists() or not Path("/var/run/postgresql").is_dir():
        missing("no servers with sockets on this machine")
    db = connect(resolve(dsn.format(socket=socket), "", DATA))
    assert db.run("SELECT 1", ()) == [(1,)]
    db.close()


@pytest.mark.parametrize(
    "dsn",
    [
        "clickhouse://u:hidden-word@h/n",
        "oracle://u:hidden-word@h/n",
        "u:hidden-word",
        "postgres://u:hidden-word@h:port/n",
        "u:hidden-word@tcp(h:abc)/n",
        "u:hidden-word@localhost/n",
        "u:secret@hidden-word/n",
        "u:hidden-word@tcp(h:1)/",
        "u:hidden-word@tcp(h:1/n",
        "host=h user=u password=hidden-word dbname=n",
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(Invalid) as caught:
        resolve(dsn, "", DATA)
    assert "SQL_DSN" in str(caught.value)
    assert "hidden-word" not in str(caught.value)


def test_labels_hold_no_password() -> None:
    for dsn in ("postgres://u:hidden@h/n", "u:hidden@tcp(h:1)/n"):
        assert "hidden" not in resolve(dsn, "", DATA).label


def test_a_mysql_server_takes_a_password_of_odd_characters() -> None:
    password = "p?a/s'#d%20@:(x)&=1"
    name = f"gatewright_{secrets.token_hex(4)}"
    try:
        root = connect(resolve(SERVERS["mysql"] + "mysql", "", DATA))
        root.run("SELECT 1", ())
    except DatabaseAway as error:
        missing(f"no mysql server on this machine: {error}")
    made = f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY %s"
    root.write(lambda connection: connection.exec_driver_sql(made, (password,)).rowcount)
    try:
        own = connect(resolve(f"{name}:{password}@tcp(127.0.0.1:3306)/information_schema?loc=Asia/Shanghai", "", DATA))
        assert own.run("SELECT 1", ()) == [(1,)]
        own.close()
        with pytest.raises(DatabaseAway) as caught:
            connect(resolve(f"{name}:wrong-{password}@tcp(127.0.0.1:3306)/mysql", "", DATA)).run("SELECT 1", ())
        assert password not in str(caught.value)
    finally:
        root.write(lambda connection: connection.exec_driver_sql(f"DROP USER {name}@'127.0.0.1'").rowcount)
        root.close()
