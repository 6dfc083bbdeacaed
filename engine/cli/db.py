"""Say what a database is and what it lacks."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import click

from engine import settings
from engine.cli._common import as_json, print_json
from engine.storage.checking import check as check_database
from engine.storage.database import StorageError, connect
from engine.storage.dsn import resolve


@click.group()
def command() -> None:
    """Say what a database is and what it lacks."""


@command.command()
@click.argument("dsn", required=False)
@as_json
def check(dsn: str | None, json_: bool) -> None:
    """Look at the database DSN (or the one of the settings) and change nothing."""
    chosen = settings.load(os.environ)
    try:
        target = resolve(chosen.sql_dsn if dsn is None else dsn, chosen.sqlite_path, Path(chosen.data))
        if target.path is not None and not target.path.exists():
            raise StorageError(f"there is no database file {target.path} yet; the first start makes it")
        db = connect(target)
        try:
            report = check_database(db)
        finally:
            db.close()
    except StorageError as error:
        raise click.ClickException(str(error)) from None
    if json_:
        print_json(dataclasses.asdict(report))
        return
    click.echo(f"{report.database}: {report.program or 'empty'}")
    if report.program:
        click.echo(f"channel types are numbered as in {report.numbering}; our revision: {report.revision or 'none'}")
    for what, names in (("tables", report.missing_tables), ("columns", report.missing_columns)):
        if names:
            click.echo(f"{what} that a fresh database has besides: {', '.join(names)}")
