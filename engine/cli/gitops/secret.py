"""Keep secrets in the database that documents name by secretRef: {db: NAME}."""

from __future__ import annotations

import sys

import click

from engine.cli._common import as_json, print_json
from engine.cli.gitops._site import when
from engine.cli.key import database
from engine.storage.releases import secrets


@click.group()
def command() -> None:
    """Keep secrets in the database that documents name by secretRef: {db: NAME}.

    They are encrypted where CRYPTO_SECRET is set, and never shown again.
    """


@command.command("set")
@click.argument("name")
def set_(name: str) -> None:
    """Keep a secret under NAME. Its value is asked for, or is the first line of the standard input."""
    interactive = sys.stdin.isatty()
    value = click.prompt("value", hide_input=True) if interactive else sys.stdin.readline().rstrip("\r\n")
    db = database()
    try:
        secrets.put(db, name, value)
        plain = not db.vault.sealing
    finally:
        db.close()
    click.echo(f"secret {name} is set" + (", not encrypted: CRYPTO_SECRET is not set" if plain else ""))


@command.command("list")
@as_json
def list_(json_: bool) -> None:
    """The names of secrets, and when each was set."""
    db = database()
    try:
        rows = secrets.listed(db)
    finally:
        db.close()
    if json_:
        print_json([{"name": name, "changed_at": changed} for name, changed in rows])
        return
    for name, changed in rows:
        click.echo(f"{name}  {when(changed)}")


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take the secret NAME away; channels that need it are left out from then on."""
    db = database()
    try:
        secrets.drop(db, name)
    finally:
        db.close()
    click.echo(f"secret {name} is gone")
