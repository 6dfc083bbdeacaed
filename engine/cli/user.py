"""Make the people to whom keys belong."""

from __future__ import annotations

import click

from engine.cli._common import as_json, print_json
from engine.cli.key import database
from engine.storage import people
from engine.storage.database import StorageError
from engine.storage.keys import random_text

_ROLES = {"user": 1, "admin": 10, "root": 100}


@click.group()
def command() -> None:
    """Make the people to whom keys belong."""


@command.command()
@click.argument("name")
@click.option("--role", type=click.Choice(list(_ROLES)), default="user", show_default=True)
@click.option("--group", default="default", show_default=True, help="The group whose channels and prices apply.")
@click.option("--quota", type=int, default=0, show_default=True, help="Quota units to begin with.")
@click.option("--password", help="8 characters to 72 bytes; without it, a random one is made and shown, once.")
@as_json
def create(name: str, role: str, group: str, quota: int, password: str | None, json_: bool) -> None:
    """Make a user called NAME."""
    chosen = password or random_text(16)
    db = database()
    try:
        made = people.create_user(db, name, chosen, role=_ROLES[role], group=group, quota=quota)
    except StorageError as error:
        raise click.ClickException(str(error)) from None
    finally:
        db.close()
    shown = {} if password else {"password": chosen}
    if json_:
        print_json({"id": made, "name": name, "role": role, **shown})
        return
    click.echo(f"user {made}: {name} ({role})")
    if shown:
        click.echo(f"password: {chosen}")
