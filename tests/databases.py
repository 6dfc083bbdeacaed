"""Databases of the test's own on each engine: SQLite always, MariaDB and PostgreSQL where they run; CI demands.

The fixtures are known to all tests by tests/conftest.py, once: a session's database of each importing module was too
many for a server's hundred connections.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.tables import METADATA
from engine.storage.tables.own import facts
from tests import leftovers
from tests.support import missing

TOUCHED = {"users", "tokens", "channels", "logs", "options", "setups", "redemptions", "two_fas", "top_ups"}
TOUCHED |= {"subscription_plans", "subscription_orders", "user_subscriptions"}
SERVERS = {
    "mysql": os.environ.get("GATEWRIGHT_TEST_MYSQL", "root:@tcp(127.0.0.1:3306)/"),
    "postgresql": os.environ.get("GATEWRIGHT_TEST_POSTGRESQL", "postgres://postgres@127.0.0.1:5432/"),
}
ADMIN = {
    "mysql": os.environ.get("GATEWRIGHT_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
    "postgresql": os.environ.get(
        "GATEWRIGHT_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
}


@pytest.fixture(params=["sqlite", "mysql", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def server_database(kind: str, data: Path) -> Iterator[Settings]:
    """An empty database on a server, dropped afterwards."""
    name = f"gatewright_test_{secrets.token_hex(4)}"
    admin = create_engine(ADMIN[kind], isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError as error:
        missing(f"no {kind} server on this machine: {error}")
    finally:
        admin.dispose()  # a database may live as long as the run, and a server has a hundred connections
    strike = leftovers.database(ADMIN[kind], name)
    try:
        yield Settings(data=data, sql_dsn=SERVERS[kind] + name, sql_max_idle_conns=2)
    finally:
        with admin.connect() as connection:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        admin.dispose()
        strike()


@contextmanager
def empty_database(kind: str, data: Path) -> Iterator[Settings]:
    """Settings of an empty database of a kind."""
    if kind == "sqlite":
        yield Settings(data=data)
        return
    with server_database(kind, data) as settings:
        yield settings


@pytest.fixture
def empty(kind: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of an empty database."""
    with empty_database(kind, tmp_path) as settings:
        yield settings


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Settings, Database]]]:
    """One migrated database for each server, made when first asked for: making one takes a second."""
    with ExitStack() as stack:
        made: dict[str, tuple[Settings, Database]] = {}

        def get(kind: str) -> tuple[Settings, Database]:
            if kind not in made:
                settings = stack.enter_context(server_database(kind, tmp_path_factory.mktemp(kind)))
                opened = open_database(settings)
                made[kind] = settings, opened
                with opened.read() as connection:
                    _FIRST[opened.dialect.name] = [dict(row) for row in connection.execute(facts.select()).mappings()]
                stack.callback(opened.close)
            return made[kind]

        yield get


Opened = tuple[Settings, Database]


@pytest.fixture
def opened(kind: str, tmp_path: Path, shared: Callable[[str], Opened]) -> Iterator[Opened]:
    """A migrated database without rows, with its settings; its schema is not to be touched."""
    if kind == "sqlite":
        settings = Settings(data=tmp_path)
        own = open_database(settings)
        yield settings, own
        own.close()
        return
    settings, server = shared(kind)
    yield settings, server
    server.write(emptied)


@pytest.fixture
def db(opened: Opened) -> Database:
    """A migrated database without rows; its schema is not to be touched."""
    return opened[1]


_FIRST: dict[str, list[dict[str, Any]]] = {}
"""What a new database says of itself, by the dialect."""


def emptied(connection: Connection) -> None:
    """Leave what a new database has."""
    for table in METADATA.sorted_tables:
        if table.name in TOUCHED or table.name.startswith("gatewright_"):
            connection.execute(table.delete())
    connection.execute(facts.insert(), _FIRST[connection.dialect.name])


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Database]:
    """A fresh database on SQLite only."""
    opened = open_database(Settings(data=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def sheets() -> Path:
    """The fact sheets of the family's schemas, which lie beside a checkout of the project's workplace."""
    directory = Path(os.environ.get("GATEWRIGHT_SHARED", Path(__file__).parents[2] / "shared")) / "reference" / "ddl"
    if not directory.is_dir():
        missing("the reference's schemas are not beside this checkout (GATEWRIGHT_SHARED names their place)")
    return directory
