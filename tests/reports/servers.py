"""A role on the PostgreSQL server of the tests that may have few connections, with a database of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.databases import ADMIN, SERVERS
from tests.support import missing

BESIDE = 3
"""Processes that may hold as many connections as are set: the worker, the one that compiles, the one that does jobs."""


@dataclass(frozen=True)
class Role:
    """``dsn`` is the role's, ``own_dsn`` the test's for the same database."""

    dsn: str
    own_dsn: str


@contextmanager
def limited_role(limit: int) -> Iterator[Role]:
    """A role that may have ``limit`` connections, and its database; both are dropped afterwards."""
    name, word = f"gatewright_test_{secrets.token_hex(4)}", secrets.token_hex(8)
    admin = create_engine(ADMIN["postgresql"], isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD '{word}' CONNECTION LIMIT {limit}"))
            connection.execute(text(f"CREATE DATABASE {name} OWNER {name}"))
    except OperationalError as error:
        admin.dispose()
        missing(f"no postgresql server on this machine: {error}")
    place = urlsplit(SERVERS["postgresql"])
    try:
        yield Role(f"postgres://{name}:{word}@{place.hostname}:{place.port}/{name}", SERVERS["postgresql"] + name)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
            connection.execute(text(f"DROP ROLE {name}"))
        admin.dispose()
