"""First revision: all tables in a fresh database, only ours in one that another program made."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op
from sqlalchemy import Connection, Table, inspect, select
from sqlalchemy.schema import CreateTable

from engine.storage.origin import FRESH, identify
from engine.storage.tables import METADATA, own

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Note what the database was, then add."""
    connection = op.get_bind()
    own.facts.create(connection, checkfirst=True)
    if _noted(connection) is None:
        # noted first: on MySQL tables stay when a start is cut short, and must not pass for another program's later
        found = {
            name: {str(c["name"]) for c in cs} for (_, name), cs in inspect(connection).get_multi_columns().items()
        }
        origin = identify(found) or FRESH
        rows = [{"name": "origin", "value": origin.program}, {"name": "numbering", "value": origin.numbering}]
        connection.execute(own.facts.insert(), rows)
    if _noted(connection) == FRESH.program:
        create(connection, METADATA.sorted_tables)
    else:
        create(connection, [own.facts, own.log_extra])


def create(connection: Connection, tables: Sequence[Table]) -> None:
    """Create those of the tables that are missing, with their indexes."""
    if connection.dialect.name != "mysql":
        METADATA.create_all(connection, tables=tables, checkfirst=True)
        return
    # PERF: MySQL syncs after each statement, so a table's indexes go into its own: 36 instead of 200
    there = set(inspect(connection).get_table_names())
    quote = connection.dialect.identifier_preparer.quote
    for table in tables:
        if table.name not in there:
            head, end, tail = str(CreateTable(table).compile(dialect=connection.dialect)).rpartition("\n)")
            indexes = [
                f", \n\t{'UNIQUE ' if index.unique else ''}INDEX {quote(str(index.name))}"
                f" ({', '.join(quote(column.name) for column in index.columns)})"
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            ]
            connection.exec_driver_sql("".join([head, *indexes, end, tail]).replace("%", "%%"))


def _noted(connection: Connection) -> str | None:
    return connection.execute(select(own.facts.c.value).where(own.facts.c.name == "origin")).scalar()
