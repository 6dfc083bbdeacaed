"""Make, list, change and revoke the keys that clients send."""

from __future__ import annotations

import dataclasses
import os
import time

import click

from engine import settings
from engine.accounts import keys
from engine.cli._common import FAULTS, as_json, print_json
from engine.storage.database import Database, open_database
from engine.storage.upgrade import key_hashing

_STATUS = {1: "enabled", 2: "disabled", 3: "expired", 4: "used up"}


def database() -> Database:
    """The database of the settings."""
    chosen = settings.load(os.environ)
    chosen.put_in_force()
    return open_database(chosen)


@click.group()
def command() -> None:
    """Make, list, change and revoke the keys that clients send."""


@command.command()
@click.argument("name")
@click.option("--user", default="root", show_default=True, help="Whose key it is.")
@click.option("--group", default="", help="Group to use; empty = the user's.")
@click.option("--quota", type=int, help="Quota units it may spend; without it, no bound.")
@click.option("--days", type=float, help="Days until it expires; without it, never.")
@click.option("--model", "models", multiple=True, help="A model it may use (may be repeated); without it, all.")
@click.option("--network", "networks", multiple=True, help="An address or network it may come from (may be repeated).")
@as_json
def create(
    name: str,
    user: str,
    group: str,
    quota: int | None,
    days: float | None,
    models: tuple[str, ...],
    networks: tuple[str, ...],
    json_: bool,
) -> None:
    """Make a key called NAME and show it, once."""
    expires = -1 if days is None else int(time.time() + days * 86400)
    db = database()
    try:
        key = keys.create_key(
            db, user, name, group=group, quota=quota, expires=expires, models=models, networks=networks
        )
    finally:
        db.close()
    if json_:
        print_json(dataclasses.asdict(key))
    else:
        click.echo(key.key)


@command.command("list")
@click.option("--user", help="Only this user's.")
@as_json
def list_(user: str | None, json_: bool) -> None:
    """Show the keys, masked, newest first."""
    db = database()
    try:
        listed_keys = keys.list_keys(db, user)
    finally:
        db.close()
    if json_:
        print_json([dataclasses.asdict(key) for key in listed_keys])
        return
    for key in listed_keys:
        balance = "no bound" if key.unlimited else f"{key.remain_quota} left"
        group = key.group or "-"
        state = _STATUS.get(key.status, str(key.status))
        click.echo(f"{key.token_id:>6}  {key.key}  {state:<8}  {balance:<16}  {group:<12}  {key.username}/{key.name}")


@command.command()
@click.argument("which")
@as_json
def revoke(which: str, json_: bool) -> None:
    """Delete a key, given by its id or by itself. It is refused at once; its log rows stay."""
    db = database()
    try:
        done = keys.revoke_key(db, int(which) if which.isdigit() and len(which) < 19 else which)
    finally:
        db.close()
    if json_:
        print_json({"revoked": done})
    elif not done:
        click.echo("there is no such key; gatewright key list shows all", err=True)
    if not done:
        raise SystemExit(FAULTS)


@command.command()
@click.argument("which")
@click.option("--enable/--disable", "enabled", default=None, help="Let it in or keep it out.")
@click.option("--group", help="Group to use; empty = the user's.")
@click.option("--quota", type=int, help="Quota units that shall be left.")
@click.option("--unlimited", is_flag=True, help="No bound.")
@click.option("--days", type=float, help="Days until it expires, from now.")
@click.option("--never-expires", is_flag=True, help="No expiry.")
@click.option("--model", "models", multiple=True, help="A model it may use (may be repeated); replaces the list.")
@click.option("--any-model", is_flag=True, help="All models.")
@click.option(
    "--network", "networks", multiple=True, help="An address or network (may be repeated); replaces the list."
)
@click.option("--any-network", is_flag=True, help="From anywhere.")
@as_json
def change(
    which: str,
    enabled: bool | None,
    group: str | None,
    quota: int | None,
    unlimited: bool,
    days: float | None,
    never_expires: bool,
    models: tuple[str, ...],
    any_model: bool,
    networks: tuple[str, ...],
    any_network: bool,
    json_: bool,
) -> None:
    """Change a key, given by its id or by itself; what isn't named stays."""
    change_asked = keys.KeyChange(
        enabled=enabled,
        group=group,
        quota=quota,
        unlimited=True if unlimited else None,
        expires=-1 if never_expires else None if days is None else int(time.time() + days * 86400),
        models=() if any_model else models or None,
        networks=() if any_network else networks or None,
    )
    db = database()
    try:
        done = keys.change_key(db, int(which) if which.isdigit() and len(which) < 19 else which, change_asked)
    finally:
        db.close()
    if json_:
        print_json({"changed": done})
    if not done:
        click.echo("there is no such key; gatewright key list shows all", err=True)
        raise SystemExit(FAULTS)


@command.command("hash")
@click.option("--yes", is_flag=True, help="Do it without a question.")
@as_json
def hash_(yes: bool, json_: bool) -> None:
    """Keep keys as keyed hashes in place of clear text, those that are there and all that are made from now on.

    There is no way back. New API, One API and versions of this program before schema 0018 know no key of such a
    database, and a key is shown once, when it is made. CRYPTO_SECRET has to be set, the same for every process.
    """
    if not yes:
        click.echo("New API and One API can't use this database's keys any more, and there is no way back.", err=True)
        click.confirm("Make a backup first (gatewright backup). Go on?", abort=True, err=True)
    db = database()
    try:
        count = key_hashing.turn_over(db)
    finally:
        db.close()
    if json_:
        print_json({"hashed": count})
    else:
        click.echo(f"{count} keys are kept as hashes now; New API can't go back to this database")
