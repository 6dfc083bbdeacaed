"""Keep the database, calls that are finished and not yet in it, documents and secrets; the gateway may run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from engine import settings
from engine.care.backup import backup
from engine.cli._common import as_json, print_json


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@as_json
def command(directory: Path, json_: bool) -> None:
    """Write a backup into DIR, which must be empty or not there yet. `gatewright restore DIR` brings it back.

    With CRYPTO_SECRET set all of it is sealed with that secret, and nobody reads it without.
    """
    summary = backup(settings.load(), directory)
    if json_:
        print_json({**dataclasses.asdict(summary), "directory": str(directory)})
        return
    rows = sum(summary.rows.values())
    click.echo(f"{directory}: {rows} rows of {len(summary.rows)} tables, {summary.files} files, {summary.bytes} bytes")
    if summary.calls:
        click.echo(f"{summary.calls} finished calls lay in journals and were taken along")
    for name in summary.left:
        click.echo(f"not carried, as this version does not know it: table {name}")
    if not summary.sealed:
        click.echo("CRYPTO_SECRET is not set: keys of channels and users can be read in this backup")
