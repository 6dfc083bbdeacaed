"""Says what a database is and what it lacks, without changing it.

``check(db)`` gives a ``Report``: which program made it, our revision, the tables and columns that a fresh one would
have besides, the steps of the import that were not done, and what a person should look at. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import inspect, select

from engine.storage import migrations
from engine.storage.database import Database
from engine.storage.tables import METADATA, own
from engine.storage.upgrade import imports
from engine.storage.upgrade.origin import identify


@dataclass(frozen=True, slots=True)
class Report:
    """``program`` is empty for an empty database; ``numbering`` is whose channel types it holds."""

    database: str
    kind: str
    program: str
    numbering: str
    revision: str
    missing_tables: tuple[str, ...]
    missing_columns: tuple[str, ...]
    outstanding: tuple[str, ...]
    findings: tuple[str, ...]


def check(db: Database) -> Report:
    """Look at a database, whoever made it."""
    with db.read() as connection:
        listed = inspect(connection).get_multi_columns()
        revision = migrations.revision(connection)
        columns = {name: {str(column["name"]) for column in infos} for (_, name), infos in listed.items()}
        noted: dict[str, str] = {}
        if own.facts.name in columns:
            noted = {row[0]: row[1] for row in connection.execute(select(own.facts.c.name, own.facts.c.value))}
        outstanding = imports.outstanding(connection) if columns else []
        origin = identify(columns)
        numbering = noted.get("numbering") or (origin.numbering if origin else "")
        findings = imports.findings(connection, columns, numbering)
    return Report(
        database=db.label,
        kind=db.kind,
        program=noted.get("origin") or (origin.program if origin else ""),
        numbering=numbering,
        revision=revision or "",
        missing_tables=tuple(sorted(name for name in METADATA.tables if name not in columns)),
        missing_columns=tuple(
            f"{name}.{column.name}"
            for name, table in sorted(METADATA.tables.items())
            if name in columns
            for column in table.columns
            if column.name not in columns[name]
        ),
        outstanding=tuple(outstanding),
        findings=tuple(findings),
    )
