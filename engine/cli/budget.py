"""Set, list and remove budgets of keys and users by day, week or month."""

from __future__ import annotations

import os
import time

import click

from engine import settings
from engine.accounts.budgets import set_budget
from engine.accounts.keys import user_id
from engine.cli._common import FAULTS, as_json, print_json, usage
from engine.cli.key import database
from engine.storage.logdb import open_logs
from engine.storage.rows import budgets


@click.group()
def command() -> None:
    """Set, list and remove budgets of keys and users by day, week or month."""


@command.command("set")
@click.option("--user", help="Name of the user whose keys together are bound.")
@click.option("--key", type=int, help="Id of the key that is bound.")
@click.option(
    "--new", type=click.Choice([budgets.USER, budgets.KEY]), help="Each user or key that is made from now on."
)
@click.option("--period", type=click.Choice(budgets.PERIODS), required=True)
@click.option("--quota", type=int, help="Quota units.")
@click.option("--tokens", type=int, help="Tokens, input and output together.")
@click.option("--warn", type=int, default=80, show_default=True, help="Percent from which answers carry a warning.")
@as_json
def set_(
    user: str | None,
    key: int | None,
    new: str | None,
    period: str,
    quota: int | None,
    tokens: int | None,
    warn: int,
    json_: bool,
) -> None:
    """Bind a key or a user; what was used in the running period counts. Or have each new one begin with a budget."""
    if [user, key, new].count(None) != 2 or (quota is None) == (tokens is None):
        usage("give one of --user, --key and --new, and one of --quota and --tokens")
    db = database()
    try:
        logs = open_logs(settings.load(os.environ), db)
        holder = key or 0
        if user is not None:
            with db.read() as connection:
                holder = user_id(db, connection, user)
        kind = new or (budgets.KEY if user is None else budgets.USER)
        unit, amount = (budgets.TOKENS, tokens) if quota is None else (budgets.QUOTA, quota)
        budget = budgets.Budget(0, kind, holder, period, unit, amount or 0, warn)
        set_budget(db, logs, budget)
        if logs is not db:
            logs.close()
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
        listed_budgets = [*budgets.defaults(db), *(one for listed in budgets.load(db).values() for one in listed)]
        rows = [
            {
                "id": budget.id,
                "holder": budget.holder,
                "holder_id": budget.holder_id,
                "period": budget.period,
                "unit": budget.unit,
                "amount": budget.amount,
                "used": budgets.used(db, budget, now),
                "resets": budgets.ends(budget.period, now, db.zone),
                "warn": budget.soft_percent,
            }
            for budget in listed_budgets
        ]
    finally:
        db.close()
    if json_:
        print_json(rows)
        return
    for row in rows:
        of = f"{row['used']} of {row['amount']} {row['unit']} a {row['period']}"
        click.echo(f"{row['id']:>6}  {row['holder']:<4} {row['holder_id'] or 'new':<6}  {of}")


@command.command()
@click.argument("which", type=int)
def remove(which: int) -> None:
    """Take away the budget with this id."""
    db = database()
    try:
        removed = budgets.remove(db, which)
    finally:
        db.close()
    if not removed:
        click.echo("there is no such budget; gatewright budget list shows all", err=True)
        raise SystemExit(FAULTS)
