"""Adds what a database lacks of the newest schema: tables, columns, indexes. Never renames, retypes or drops.

``create(connection, tables)`` makes missing tables; ``complete(connection)`` makes missing columns and indexes of the
tables that are there, exactly as the newest program of the family would, so that it and older ones still run. Gives
what was added and what could not be. Knows no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from sqlalchemy import Column, Connection, Index, Table, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from engine.storage.tables import METADATA, own


@dataclass(slots=True)
class Added:
    """What was added, by name, and in ``left`` what could not be, with the reason."""

    tables: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def create(connection: Connection, tables: Sequence[Table]) -> list[str]:
    """Create those of the tables that are missing, with their indexes."""
    names = set(inspect(connection).get_table_names())
    missing = [table for table in tables if table.name not in names]
    if connection.dialect.name != "mysql":
        METADATA.create_all(connection, tables=missing, checkfirst=False)
        return [table.name for table in missing]
    # PERF: MySQL syncs after each statement, so a table's indexes go into its own: 36 instead of 200
    quote = connection.dialect.identifier_preparer.quote
    for table in missing:
        head, end, tail = str(CreateTable(table).compile(dialect=connection.dialect)).rpartition("\n)")
        indexes = [
            f", \n\t{'UNIQUE ' if index.unique else ''}INDEX {quote(str(index.name))}"
            f" ({', '.join(quote(column.name) for column in index.columns)})"
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
        connection.exec_driver_sql("".join([head, *indexes, end, tail]).replace("%", "%%"))
    return [table.name for table in missing]


def complete(connection: Connection) -> Added:
    """Bring the family's tables to the newest schema by adding only."""
    added = Added()
    present = {name: {str(c["name"]) for c in cs} for (_, name), cs in inspect(connection).get_multi_columns().items()}
    added.tables = create(connection, METADATA.sorted_tables)
    for table in METADATA.sorted_tables:
        if table.name in present and not table.name.startswith(own.PREFIX):
            fresh = _add_columns(connection, table, present[table.name])
            added.columns += [f"{table.name}.{name}" for name in fresh]
            _add_indexes(connection, table, added)
    return added


def _add_columns(connection: Connection, table: Table, there: set[str]) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote
    missing = [column for column in table.columns if column.name not in there]
    clauses = [f"ADD {_spec(connection, column)}" for column in missing]
    if connection.dialect.name == "sqlite":
        for clause in clauses:
            connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} {clause}")
    elif clauses:
        # one statement: a large table is then gone through once at most
        connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} {', '.join(clauses)}".replace("%", "%%"))
    return [column.name for column in missing]


def _spec(connection: Connection, column: Column[object]) -> str:
    """The column's definition; one that old rows could not fill stays open to NULL."""
    loose = column
    if not column.nullable and column.server_default is None:
        loose = column._copy()
        loose.nullable = True
    return str(CreateColumn(loose).compile(dialect=connection.dialect))


def _add_indexes(connection: Connection, table: Table, added: Added) -> None:
    inspector = inspect(connection)
    names = {str(index["name"]) for index in inspector.get_indexes(table.name)}
    names |= {str(constraint["name"]) for constraint in inspector.get_unique_constraints(table.name)}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if str(index.name) not in names:
            why = _try_index(connection, index)
            if why:
                added.left.append(f"index {index.name} on {table.name}: {why}")
            else:
                added.indexes.append(str(index.name))


def _try_index(connection: Connection, index: Index) -> str:
    """Make an index; why not, where rows or an older column's type stand against it."""
    # MySQL commits at each such statement, savepoint and all
    guard = nullcontext() if connection.dialect.name == "mysql" else connection.begin_nested()
    try:
        with guard:
            connection.execute(CreateIndex(index))
    except DBAPIError as error:
        return str(error.orig).strip().splitlines()[0]
    return ""
