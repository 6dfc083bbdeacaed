"""Brings a database to the newest revision, once, whoever starts first. Alembic's own table is ``gatewright_alembic``.

A fresh database gets every table of the family's newest schema; one that another program made gets only our own
tables, after it was noted which program that was. A database that is up to date costs one select: Alembic is then not
even imported (it takes 0.2 s).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, inspect, text

from engine.errors import Conflict, Invalid, Unavailable
from engine.storage.tables import METADATA
from engine.storage.tables.own import facts
from engine.storage.upgrade.origin import strange

T = TypeVar("T")
HEAD = "0021"
NEEDS = "needs"
"""The fact that says which revision a program must know, where an older one can't run on the schema."""
VERSION_TABLE = "gatewright_alembic"
_LOCK = 0x67617465
_LOCK_NAME = "gatewright_migration"
_LOCK_OF = "CONCAT(:name, MD5(DATABASE()))"
"""MySQL's locks are of the whole server, ours of one database."""
_LOCK_WAIT = 120


class _Database(Protocol):
    """What is needed of the open database."""

    def read(self) -> AbstractContextManager[Connection]: ...
    def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T: ...


def bring_up(db: _Database) -> bool:
    """Migrate to ``HEAD`` if needed, one process at a time; true if something was done."""
    with db.read() as connection:
        current = revision(connection)
        if current is None:
            recognise(connection)
        elif current == HEAD or newer(connection, current):
            return False
    return alone(db, _upgrade)


def check(db: _Database) -> None:
    """Raises ``Conflict`` where the schema is not there yet, or older than this version needs."""
    with db.read() as connection:
        current = revision(connection)
        if current is None or current < HEAD:
            what = f"has the schema {current}" if current else "has no schema of ours"
            raise Conflict(
                f"the database {what}, this version needs {HEAD}, and NODE_TYPE=slave leaves it as it is:"
                " start the master of this version first, or leave NODE_TYPE out"
            )


def alone(db: _Database, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in one transaction while no other process changes the schema. It takes one connection, no more."""
    return db.write(partial(_locked, work=work))


def _locked(connection: Connection, work: Callable[[Connection], T]) -> T:
    kind = connection.dialect.name
    if kind == "sqlite":  # BEGIN IMMEDIATE is lock enough
        return work(connection)
    if kind == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        return work(connection)
    parameters = {"name": _LOCK_NAME, "wait": _LOCK_WAIT}
    if connection.execute(text(f"SELECT GET_LOCK({_LOCK_OF}, :wait)"), parameters).scalar() != 1:
        raise Unavailable("another process has been migrating this database for two minutes; try again later")
    try:
        done = work(connection)
        # the lock is the connection's and not the transaction's: what was done must be there when it is given back
        connection.exec_driver_sql("COMMIT")
        return done
    finally:
        connection.execute(text(f"SELECT RELEASE_LOCK({_LOCK_OF})"), {"name": _LOCK_NAME})


def revision(connection: Connection) -> str | None:
    """The revision that the database says it has."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608 - a constant
    return str(row[0]) if row else None


def recognise(connection: Connection) -> None:
    """Raise ``Invalid`` where another program's tables have our names: nothing may be added to them."""
    listed = inspect(connection).get_multi_columns()
    columns = {name: {str(column["name"]) for column in infos} for (_, name), infos in listed.items()}
    why = "" if facts.name in columns else strange(columns, METADATA.tables.keys())
    if why:
        what = f"the database was made by a program that is not known here: {why}"
        raise Invalid("SQL_DSN", what, "name an empty database, or one of One API or New API; nothing was changed")


def newer(connection: Connection, found: str | None) -> bool:
    """Whether a newer version's schema is there on which this one runs: during an upgrade, or after going back.

    Each migration leaves a schema that the version before it runs on; one that can't notes in the fact ``needs`` which
    revision a program must know. Raises ``Conflict`` where that is more than this one knows.
    """
    if found is None or found <= HEAD:
        return False
    sql = text("SELECT value FROM gatewright_facts WHERE name = :name")
    needs = connection.execute(sql, {"name": NEEDS}).scalar()
    if needs is not None and str(needs) > HEAD:
        raise Conflict(
            f"the database is of a newer version (schema {found}; this one knows {HEAD});"
            " install that version, or restore a backup of before"
        )
    return True


def _upgrade(connection: Connection) -> bool:
    if (current := revision(connection)) == HEAD or newer(connection, current):
        return False
    # PERF: 0.2 s, spent only when there is something to do
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("recursive_version_locations", "true")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True
