"""Prove the trail of changes."""

from __future__ import annotations

import os

import click

from engine import settings
from engine.cli._common import as_json, print_json
from engine.storage.database import open_database
from engine.storage.rows import trail

_BROKEN = 1


@click.group()
def command() -> None:
    """Prove the trail of changes."""


@command.command()
@as_json
@click.option(
    "--last", default="", help="The hash that the newest entry had, as noted elsewhere: it must still be there."
)
def verify(json_: bool, last: str) -> None:
    """Look at every entry: as it was written, in its place, none taken away; 1 as exit code where that is not so."""
    db = open_database(settings.load(os.environ), migrate=False)
    try:
        verdict = trail.verified(db)
        last_known = not last or trail.holds(db, last)
    finally:
        db.close()
    if json_:
        whole = not verdict.broken_at and last_known
        print_json({"whole": whole, "entries": verdict.entries, "broken_at": verdict.broken_at, "last": verdict.last})
    elif verdict.broken_at:
        click.echo(
            f"entry {verdict.broken_at} was changed, moved or taken away; those before it are as they were written"
        )
    elif not last_known:
        click.echo(f"no entry has the hash {last}: the trail was written anew, or ended before it")
    else:
        click.echo(f"{verdict.entries} entries are as they were written; the newest has the hash {verdict.last or '-'}")
    if verdict.broken_at or not last_known:
        raise SystemExit(_BROKEN)
