"""Make, list, redeem and switch off redemption codes."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable

import click

from engine import settings
from engine.accounts import redemptions
from engine.accounts.keys import user_id
from engine.cli._common import FAULTS, as_json, print_json
from engine.cli.key import database
from engine.storage.database import Database
from engine.storage.logdb import open_logs

_STATUS = {1: "unused", 2: "disabled", 3: "used"}


@click.group()
def command() -> None:
    """Make, list, redeem and switch off redemption codes."""


@command.command()
@click.argument("name")
@click.option("--quota", type=int, required=True, help="Quota units that a code is worth.")
@click.option("--count", type=int, default=1, show_default=True, help="How many codes.")
@click.option("--days", type=float, help="Days until they expire; without it, never.")
@as_json
def create(name: str, quota: int, count: int, days: float | None, json_: bool) -> None:
    """Make codes called NAME and show them."""
    expires = 0 if days is None else int(time.time() + days * 86400)
    db = database()
    try:
        codes = redemptions.create(db, name, quota, count=count, expires=expires)
    finally:
        db.close()
    if json_:
        print_json(codes)
    else:
        click.echo("\n".join(codes))


@command.command()
@click.argument("code")
@click.option("--user", required=True, help="Who gets the quota.")
@as_json
def redeem(code: str, user: str, json_: bool) -> None:
    """Redeem CODE for a user."""
    db = database()
    try:
        logs = open_logs(settings.load(os.environ), db)
        with db.read() as connection:
            which = user_id(db, connection, user)
        added = redemptions.redeem(db, logs, code, which)
        if logs is not db:
            logs.close()
    finally:
        db.close()
    if json_:
        print_json({"quota": added})
    else:
        click.echo(f"{added} quota units for {user}")


@command.command("list")
@click.option("--status", type=click.Choice(list(_STATUS.values())), help="Only these.")
@as_json
def list_(status: str | None, json_: bool) -> None:
    """Show the codes, newest first."""
    db = database()
    try:
        codes = redemptions.listed(db, next((n for n, word in _STATUS.items() if word == status), None))
    finally:
        db.close()
    if json_:
        print_json([dataclasses.asdict(code) for code in codes])
        return
    for code in codes:
        state = _STATUS.get(code.status, str(code.status))
        by = f"  user {code.used_by}" if code.used_by else ""
        click.echo(f"{code.id:>6}  {code.key}  {state:<8}  {code.quota:>12}  {code.name}{by}")


@command.command()
@click.argument("which", type=int)
@as_json
def disable(which: int, json_: bool) -> None:
    """Make the unused code with this id worthless."""
    _ended(json_, "disabled", redemptions.disable, which)


@command.command()
@click.argument("which", type=int)
@as_json
def remove(which: int, json_: bool) -> None:
    """Delete the code with this id."""
    _ended(json_, "removed", redemptions.remove, which)


def _ended(json_: bool, word: str, change: Callable[[Database, int], bool], which: int) -> None:
    db = database()
    try:
        done = change(db, which)
    finally:
        db.close()
    if json_:
        print_json({word: done})
    elif not done:
        click.echo("there is no such code; gatewright code list shows all", err=True)
    if not done:
        raise SystemExit(FAULTS)
