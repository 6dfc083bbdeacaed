"""Reads where the database is: New API's ``SQL_DSN`` syntax (also Go's MySQL form) and SQLAlchemy's own.

Takes the settings' texts, gives a ``Target``: engine kind, SQLAlchemy URL, and a label without the password. Connects
to nothing. Errors name the form that was expected and never repeat the text, which holds a password.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from engine.errors import Invalid

_LIBPQ = re.compile(
    "sslmode|sslcert|sslkey|sslrootcert|sslcrl|sslpassword|connect_timeout|application_name|options|passfile|hostaddr|"
    "target_session_attrs|channel_binding|gssencmode|keepalives|keepalives_idle|keepalives_interval|service|"
    "host|port|user|password|dbname"
)
_GO_DSN = re.compile(
    r"^(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?(?:(?P<net>[a-z0-9]*)(?:\((?P<address>[^()]*)\))?)$", re.S
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FIELD = "SQL_DSN"
_FORMS = "postgres://user:password@host/name, user:password@tcp(host:3306)/name, sqlite:///file, or empty for SQLite"


@dataclass(frozen=True, slots=True)
class Target:
    """One database: ``kind`` is sqlite, mysql or postgresql."""

    kind: str
    url: URL
    label: str
    path: Path | None = None
    busy_ms: int = 5000
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the driver is given besides the URL."""


def resolve(dsn: str, sqlite_path: str, data: Path) -> Target:
    """The database that these settings mean."""
    dsn = dsn.strip()
    if not dsn or dsn.startswith("local"):
        return _sqlite(sqlite_path or str(data / "gatewright.db"))
    scheme = dsn.split("://", 1)[0].lower() if "://" in dsn else ""
    if scheme.startswith("sqlite"):
        return _sqlite(dsn.split("://", 1)[1].removeprefix("/"))
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return _postgresql(dsn)
    if scheme in ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"):
        return _mysql(_url(dsn).set(drivername="mysql+pymysql"))
    if scheme in ("clickhouse", "tcp", "http", "https"):
        raise _wrong(f"SQL_DSN: {scheme}:// can't hold the main database")
    if scheme and "(" not in dsn:
        raise _wrong("SQL_DSN: unknown kind of database")
    return _mysql(_go_mysql(dsn))


def _wrong(what: str) -> Invalid:
    return Invalid(_FIELD, what, f"expected {_FORMS}")


def _url(dsn: str) -> URL:
    try:
        return make_url(dsn)
    except (ArgumentError, ValueError):
        raise _wrong("SQL_DSN can't be read") from None


def _sqlite(text: str) -> Target:
    file, _, parameters = text.partition("?")
    if file == ":memory:":
        raise Invalid(_FIELD, "SQL_DSN: workers can't share a database in memory", "name a file")
    options = dict(parse_qsl(parameters))
    busy = options.get("_busy_timeout", "")
    path = Path(file)
    url = URL.create("sqlite+pysqlite", database=str(path))
    return Target("sqlite", url, f"sqlite:///{path}", path, int(busy) if busy.isdigit() else 5000)


def _postgresql(dsn: str) -> Target:
    url = _url(dsn).set(drivername="postgresql+psycopg")
    query: dict[str, str] = {}
    session: list[str] = []
    for name, value in url.query.items():
        text = value if isinstance(value, str) else value[-1]
        if _LIBPQ.fullmatch(name):
            query[name] = text
        elif name.lower() in ("timezone", "search_path"):
            session.append("-c " + re.sub(r"([\\\s])", r"\\\1", f"{name}={text}"))
    if session:
        query["options"] = " ".join([*([query["options"]] if "options" in query else []), *session])
    url = url.set(query=query)
    # connections may be shared by a pooler in between, which knows nothing of statements prepared on one of them
    return Target("postgresql", url, _label(url), arguments={"prepare_threshold": None})


def _mysql(url: URL) -> Target:
    options = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    query = {"charset": options.get("charset", "utf8mb4").split(",")[0]}
    for name in ("unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname"):
        if name in options:
            query[name] = options[name]
    for theirs, parameter in (
        ("timeout", "connect_timeout"),
        ("readTimeout", "read_timeout"),
        ("writeTimeout", "write_timeout"),
    ):
        seconds = sum(float(n) * _SECONDS[unit] for n, unit in _DURATION.findall(options.get(theirs, "")))
        if seconds:
            query[parameter] = str(max(1, round(seconds)))
    if not url.database:
        raise _wrong("SQL_DSN names no database")
    url = url.set(query=query)
    return Target("mysql", url, _label(url), arguments=_tls(options.get("tls", "").lower()))


def _tls(word: str) -> dict[str, Any]:
    """TLS as the Go driver's word says; without one it is used where the server offers it."""
    if word in ("false", "0"):
        return {"ssl_disabled": True}
    if word not in ("true", "1", "skip-verify"):
        return {}
    context = ssl.create_default_context()
    if word == "skip-verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def _go_mysql(dsn: str) -> URL:
    """``[user[:password]@][net[(address)]]/name[?parameters]``: nothing in it is escaped but the name."""
    match, at = None, len(dsn)
    while match is None:  # the last slash may belong to a parameter's value, or to a socket's path
        at = dsn.rfind("/", 0, at)
        if at < 0:
            raise _wrong("SQL_DSN can't be read")
        match = _GO_DSN.match(dsn[:at])
    after = dsn[at + 1 :]
    name, _, parameters = after.partition("?")
    net, address = match["net"] or "tcp", match["address"] or ""
    if net not in ("tcp", "tcp4", "tcp6", "unix"):
        raise _wrong("SQL_DSN: a host stands in brackets after its network")
    query = dict(parse_qsl(parameters))
    host: str | None = None
    port: int | None = None
    if net == "unix":
        query["unix_socket"] = address or "/tmp/mysql.sock"  # noqa: S108
    else:
        host, port = _host(address or "127.0.0.1:3306")
    return URL.create(
        "mysql+pymysql", match["user"] or None, match["password"], host, port, unquote(name) or None, query
    )


def _host(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, "3306"
    if not port.isdigit():
        raise Invalid(_FIELD, "SQL_DSN: the port is not a number")
    return host.strip("[]"), int(port)


def _label(url: URL) -> str:
    where = url.host or str(url.query.get("unix_socket", "local"))
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.username or ''}@{where}{port}/{url.database or ''}"
