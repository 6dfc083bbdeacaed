"""Keep secrets in the database that documents name by secretRef: {db: NAME}."""

from __future__ import annotations

import sys

import click

from engine.cli._common import print_json
from engine.cli.gitops._site import site, site_options, when


@click.group()
def command() -> None:
    """Keep secrets in the database that documents name by secretRef: {db: NAME}.

    They are encrypted where CRYPTO_SECRET is set, and never shown again.
    """


@command.command("set")
@click.argument("name")
@site_options
def set_(name: str, server: str | None, json_: bool) -> None:
    """Keep a secret under NAME. Its value is asked for, or is the first line of the standard input."""
    interactive = sys.stdin.isatty()
    value = click.prompt("value", hide_input=True) if interactive else sys.stdin.readline().rstrip("\r\n")
    made = site(server).ask("put_secret", name=name, value=value)
    if json_:
        print_json(made)
        return
    plain = "" if made["encrypted"] else ", not encrypted: CRYPTO_SECRET is not set"
    click.echo(f"secret {name} is set{plain}")


@command.command("list")
@site_options
def list_(server: str | None, json_: bool) -> None:
    """The names of secrets, and when each was set."""
    rows = site(server).ask("secrets")
    if json_:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']}  {when(row['changed_at'])}")


@command.command()
@click.argument("name")
@site_options
def remove(name: str, server: str | None, json_: bool) -> None:
    """Take the secret NAME away; channels that need it are left out from then on."""
    site(server).ask("drop_secret", name=name)
    if json_:
        print_json({"name": name})
    else:
        click.echo(f"secret {name} is gone")
