"""Say how secrets stand in the database, and encrypt them anew or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from engine import settings
from engine.cli._common import as_json, print_json
from engine.cli.key import database
from engine.storage import rotation
from engine.storage.database import Database

_older = click.option(
    "--older", multiple=True, metavar="VARIABLE", help="Environment variable with a secret of before (may be repeated)."
)


@click.group()
def command() -> None:
    """Say how secrets stand in the database, and encrypt them anew or not at all.

    With CRYPTO_SECRET set, keys of channels, secrets among the options, and secrets of sign-in are encrypted with it.
    Programs that share the database can't read them then; without it everything stays plain.
    """


@command.command()
@as_json
def status(json_: bool) -> None:
    """Count the secrets that are plain, encrypted, or can't be read."""
    db = database()
    try:
        report = rotation.status(db)
    finally:
        db.close()
    if json_:
        print_json(report)
        return
    for place, counts in report.items():
        words = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        click.echo(f"{place}: {words or 'none'}")


@command.command()
@_older
def rotate(older: tuple[str, ...]) -> None:
    """Encrypt every secret under the CRYPTO_SECRET of now. Workers that run with another one need a restart."""
    _run(rotation.rotate, older, "encrypted")


@command.command()
@_older
def plain(older: tuple[str, ...]) -> None:
    """Store every secret as plain text again, for the programs that share the database."""
    _run(rotation.uncover, older, "stored plain")


def _run(work: Callable[[Database, str, list[str]], int], older: tuple[str, ...], word: str) -> None:
    missing = [name for name in older if not os.environ.get(name)]
    if missing:
        raise click.UsageError(f"environment variable {missing[0]} is not set")
    db = database()
    try:
        count = work(db, settings.load(os.environ).crypto_secret, [os.environ[name] for name in older])
    finally:
        db.close()
    click.echo(f"{count} secrets {word}")
