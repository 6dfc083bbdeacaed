"""Bring a backup into an empty database of any kind, and its documents and secrets into the data directory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from engine import settings
from engine.care.restore import restore
from engine.cli._common import as_json, print_json


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@as_json
def command(directory: Path, json_: bool) -> None:
    """Restore the backup DIR into the database of the settings (SQL_DSN) and the data directory (GATEWRIGHT_DATA).

    The whole backup is compared with its sums first. The database must be empty; it may be of another kind than the one
    that was kept. Prove it by `gatewright ledger verify`.
    """
    restored = restore(settings.load(), directory)
    if json_:
        print_json(dataclasses.asdict(restored))
        return
    rows = sum(restored.rows.values())
    click.echo(f"{restored.database}: {rows} rows of {len(restored.rows)} tables, {restored.files} files")
    if restored.journals:
        click.echo("some finished calls lie in journals; the next start books them")
    click.echo("prove it: gatewright ledger verify")
