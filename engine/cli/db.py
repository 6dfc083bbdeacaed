"""Say what a database is and what it lacks; bring it up by adding only."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from engine import settings
from engine.cli._common import as_json, print_json
from engine.errors import NotFound
from engine.storage.database import Database, connect
from engine.storage.dsn import resolve
from engine.storage.migrations import HEAD
from engine.storage.upgrade import upgrading
from engine.storage.upgrade.checking import check as check_database


@click.group()
def command() -> None:
    """Say what a database is and what it lacks; bring it up by adding only."""


@command.command()
@click.argument("dsn", required=False)
@as_json
def check(dsn: str | None, json_: bool) -> None:
    """Look at the database DSN (or the one of the settings) and change nothing."""
    with _opened(dsn) as db:
        report = check_database(db)
    if json_:
        print_json(dataclasses.asdict(report))
        return
    click.echo(f"{report.database}: {report.program or 'empty'}")
    if report.program:
        revision = report.revision or "none"
        newest = "" if revision == HEAD else f" (an upgrade brings it to {HEAD})"
        click.echo(f"channel types are numbered as in {report.numbering}; our revision: {revision}{newest}")
    for what, names in (("tables", report.missing_tables), ("columns", report.missing_columns)):
        if names:
            click.echo(f"{what} that a fresh database has besides: {', '.join(names)}")
    if report.program and report.outstanding:
        click.echo(f"steps that an upgrade would do: {', '.join(report.outstanding)}")
    for finding in report.findings:
        click.echo(f"to look at: {finding}")


@command.command()
@click.argument("dsn", required=False)
@click.option(
    "--numbering",
    type=click.Choice(["newApi", "oneApi"]),
    default=None,
    help="By which program's numbers the types of channels count that bear no mark (asked for by db check).",
)
@as_json
def upgrade(dsn: str | None, numbering: str | None, json_: bool) -> None:
    """Add what the newest schema has besides, and carry older settings over. Nothing is renamed, retyped or dropped."""
    with _opened(dsn) as db:
        done = upgrading.upgrade(db, numbering or "")
        label = db.label
    if json_:
        print_json(dataclasses.asdict(done))
        return
    if done.nothing:
        click.echo(f"{label}: there is nothing to do")
        return
    if done.migrated:
        click.echo(f"{label}: our own tables are at the newest revision now")
    click.echo(f"{label}: {len(done.tables)} tables, {len(done.columns)} columns, {len(done.indexes)} indexes added")
    for name, what in done.steps.items():
        click.echo(f"{name}: {what}")
    for what in done.left:
        click.echo(f"left out: {what}")


@contextmanager
def _opened(dsn: str | None) -> Iterator[Database]:
    """The database DSN, or that of the settings, its schema untouched."""
    chosen = settings.load(os.environ)
    target = resolve(chosen.sql_dsn if dsn is None else dsn, chosen.sqlite_path, Path(chosen.data))
    if target.path is not None and not target.path.exists():
        raise NotFound(f"there is no database file {target.path} yet; the first start makes it")
    db = connect(target)
    try:
        yield db
    finally:
        db.close()
