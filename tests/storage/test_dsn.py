"""Every written form of SQL_DSN, and that none of them is ever repeated in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.storage.dsn import StorageError, resolve

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
    assert dict(url.query) == {"sslmode": "require", "options": "-c TimeZone=Asia/Shanghai", "connect_timeout": "10"}


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("u:p@tcp(h:3307)/n?charset=utf8mb4&parseTime=True&loc=Local", ("u", "p", "h", 3307, "n")),
        ("u:p@ss:w/o(rd)@tcp(h)/n", ("u", "p@ss:w/o(rd)", "h", 3306, "n")),
        ("u:p@tcp([::1]:3306)/n", ("u", "p", "::1", 3306, "n")),
        ("u@tcp(h:1)/n?loc=Asia%2FShanghai", ("u", None, "h", 1, "n")),
        ("u:p@/n", ("u", "p", "127.0.0.1", 3306, "n")),
        ("u:p@tcp(h:1)/a%20b?loc=Asia/Shanghai", ("u", "p", "h", 1, "a b")),
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
    url = resolve("u:p@unix(/run/mysqld/mysqld.sock)/n?timeout=5s&readTimeout=1m30s&tls=skip-verify", "", DATA).url
    assert url.host is None
    assert url.query["unix_socket"] == "/run/mysqld/mysqld.sock"
    assert (url.query["connect_timeout"], url.query["read_timeout"]) == ("5", "90")
    assert url.query["ssl_verify_cert"] == "false"


@pytest.mark.parametrize(
    "dsn",
    [
        "clickhouse://u:hidden-word@h/n",
        "oracle://u:hidden-word@h/n",
        "u:hidden-word",
        "postgres://u:hidden-word@h:port/n",
        "u:hidden-word@tcp(h:abc)/n",
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(StorageError) as caught:
        resolve(dsn, "", DATA)
    assert "SQL_DSN" in str(caught.value)
    assert "hidden-word" not in str(caught.value)


def test_labels_hold_no_password() -> None:
    for dsn in ("postgres://u:hidden@h/n", "u:hidden@tcp(h:1)/n"):
        assert "hidden" not in resolve(dsn, "", DATA).label
