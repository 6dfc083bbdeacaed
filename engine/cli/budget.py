"""Set, list and remove budgets of keys and users by day, week or month."""

from __future__ import annotations

import os
import time

import click

from engine import settings
from engine.cli._common import FAULTS, as_json, print_json, usage
from engine.cli.key import database
from engine.storage import budgets
from engine.storage.database import StorageError
from engine.storage.keys import user_id
from engine.storage.logdb import open_logs


@click.group()
def command() -> None:
    """Set, list and remove budgets of keys and users by day, week or month."""


@command.command("set")
@click.option("--user", help="Name of the user whose keys together are bound.")
@click.option("--key", type=int, help="Id of the key that is bound.")
@click.option("--period", type=click.Choice(budgets.PERIODS), required=True)
@click.option("--quota", type=int, help="Quota units.")
@click.option("--tokens", type=int, help="Tokens, input and output together.")
@click.option("--warn", type=int, default=80, show_default=True, help="Percent from which answers carry a warning.")
@as_json
def set_(
    user: str | None, key: int | None, period: str, quota: int | None, tokens: int | None, warn: int, json_: bool
) -> None:
    """Bind a key or a user. What was used in the running period counts."""
    if (user is None) == (key is None) or (quota is None) == (tokens is None):
        usage("give one of --user and --key, and one of --quota and --tokens")
    db = database()
    try:
        logs = open_logs(settings.load(os.environ), db)
        holder = key or 0
        if user is not None:
            with db.read() as connection:
                holder = user_id(db, connection, user)
        kind = budgets.KEY if user is None else budgets.USER
        unit, amount = (budgets.TOKENS, tokens) if quota is None else (budgets.QUOTA, quota)
        wanted = budgets.Budget(0, kind, holder, period, unit, amount or 0, warn)
        budgets.put(db, logs, wanted)
        if logs is not db:
            logs.close()
    except StorageError as error:
        raise click.ClickException(str(error)) from None
    finally:
        db.close()
    if json_:
        print_json({"holder": kind, "holder_id": holder, "period": period, "unit": unit, "amount": amount})


@command.command("list")
@as_json
def list_(json_: bool) -> None:
    """Show the budgets and what is used of them."""
    db = database()
    now = time.time()
    try:
        found = [one for listed in budgets.load(db).values() for one in listed]
        rows = [
            {
                "id": one.id,
                "holder": one.holder,
                "holder_id": one.holder_id,
                "period": one.period,
                "unit": one.unit,
                "amount": one.amount,
                "used": budgets.used(db, one, now),
                "resets": budgets.ends(one.period, now, db.zone),
                "warn": one.soft_percent,
            }
            for one in found
        ]
    finally:
        db.close()
    if json_:
        print_json(rows)
        return
    for row in rows:
        of = f"{row['used']} of {row['amount']} {row['unit']} a {row['period']}"
        click.echo(f"{row['id']:>6}  {row['holder']:<4} {row['holder_id']:<6}  {of}")


@command.command()
@click.argument("which", type=int)
def remove(which: int) -> None:
    """Take away the budget with this id."""
    db = database()
    try:
        done = budgets.remove(db, which)
    finally:
        db.close()
    if not done:
        click.echo("there is no such budget; gatewright budget list shows all", err=True)
        raise SystemExit(FAULTS)
