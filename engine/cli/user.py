"""Make, list and change the people to whom keys belong."""

from __future__ import annotations

import dataclasses

import click
from sqlalchemy import Connection

from engine.accounts import invitations, users
from engine.accounts.keys import random_text
from engine.cli._common import as_json, print_json, usage
from engine.cli.key import database
from engine.errors import NotFound
from engine.storage.database import Database
from engine.storage.rows import factors, logins
from engine.storage.rows import people as rows
from engine.storage.rows.api import passkeys

_ROLES = {"user": 1, "admin": 10, "root": 100}


@click.group()
def command() -> None:
    """Make, list and change the people to whom keys belong."""


@command.command()
@click.argument("name")
@click.option("--role", type=click.Choice(list(_ROLES)), default="user", show_default=True)
@click.option("--group", default="default", show_default=True, help="The group whose channels and prices apply.")
@click.option("--quota", type=int, help="Quota units to begin with; without it, what the option QuotaForNewUser says.")
@click.option("--invited-by", default="", metavar="CODE", help="Invitation code of another user, who is rewarded.")
@click.option("--password", help="8 characters to 72 bytes; without it, a random one is made and shown, once.")
@as_json
def create(
    name: str, role: str, group: str, quota: int | None, invited_by: str, password: str | None, json_: bool
) -> None:
    """Make a user called NAME."""
    chosen = password or random_text(16)
    db = database()
    try:
        user = users.create_user(db, name, chosen, role=_ROLES[role], group=group, quota=quota, invited_by=invited_by)
    finally:
        db.close()
    shown = {} if password else {"password": chosen}
    if json_:
        print_json({"id": user, "name": name, "role": role, **shown})
        return
    click.echo(f"user {user}: {name} ({role})")
    if shown:
        click.echo(f"password: {chosen}")


@command.command("list")
@as_json
def list_(json_: bool) -> None:
    """Show the users, by id."""
    db = database()
    try:
        listed_users = users.list_users(db)
    finally:
        db.close()
    if json_:
        print_json([dataclasses.asdict(user) for user in listed_users])
        return
    roles = {number: name for name, number in _ROLES.items()}
    for user in listed_users:
        state = "enabled" if user.status == 1 else "disabled"
        balance = f"{user.quota} left, {user.used_quota} used, {user.request_count} requests"
        click.echo(
            f"{user.id:>6}  {user.username:<20}  {roles.get(user.role, '-'):<5}  {state:<8}  {user.group}  {balance}"
        )


@command.command()
@click.argument("name")
def disable(name: str) -> None:
    """Keep the user NAME out: all its keys are refused at once."""
    _change(name, enabled=False)


@command.command()
@click.argument("name")
def enable(name: str) -> None:
    """Let the user NAME in again."""
    _change(name, enabled=True)


@command.command("factors-off")
@click.argument("name")
def factors_off(name: str) -> None:
    """Take app, backup codes and passkeys of the user NAME away; all its logins end."""
    db = database()
    try:
        row = rows.by_login(db, name)
        if row is None:
            raise NotFound(f"there is no user {name!r}")
        which = row["id"]
        db.write(lambda connection: _without_factors(db, connection, which))
    finally:
        db.close()
    click.echo(f"{name}: signs in without a second factor")


def _without_factors(db: Database, connection: Connection, which: int) -> int:
    if factors.there(db):
        factors.drop(db, connection, which)
    passkeys.drop(db, connection, which)
    logins.end(db, connection, which)
    return rows.change(db, connection, which, {}, end=True)


@command.command()
@click.argument("name")
@click.argument("group")
def group(name: str, group: str) -> None:
    """Move the user NAME to GROUP."""
    _change(name, group=group)


@command.command()
@click.argument("name")
@click.option("--add", type=int, help="Quota units to add; negative ones are taken.")
@click.option("--set", "to", type=int, help="Quota units that shall be left.")
@click.option("--reason", default="command line", show_default=True, help="Noted beside the change.")
@as_json
def quota(name: str, add: int | None, to: int | None, reason: str, json_: bool) -> None:
    """Change the balance of the user NAME, and note why."""
    if (add is None) == (to is None):
        usage("give one of --add and --set")
    db = database()
    try:
        left = users.change_quota(db, name, add=add or 0, to=to, reason=reason)
    finally:
        db.close()
    if json_:
        print_json({"quota": left})
    else:
        click.echo(f"{name}: {left} quota units left")


@command.command()
@click.argument("name")
@click.option("--quota", type=int, help="So many quota units of them, a dollar's worth at least; without it, all.")
@as_json
def transfer(name: str, quota: int | None, json_: bool) -> None:
    """Move rewards for invitations of the user NAME to its balance."""
    db = database()
    try:
        moved = invitations.transfer(db, name, quota)
    finally:
        db.close()
    if json_:
        print_json(dataclasses.asdict(moved))
    else:
        click.echo(f"{name}: {moved.amount} moved; {moved.balance} quota units left, {moved.left} of rewards")


def _change(name: str, *, enabled: bool | None = None, group: str | None = None) -> None:
    db = database()
    try:
        users.change_user(db, name, enabled=enabled, group=group)
    finally:
        db.close()
