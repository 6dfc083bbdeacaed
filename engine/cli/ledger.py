"""Prove the ledger, or write out what was charged."""

from __future__ import annotations

import dataclasses
import datetime
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from engine import settings
from engine.cli._common import as_json, print_json
from engine.ledger import export as exporting
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.logdb import open_logs
from engine.storage.rows import audit

_DIFFERS = 1


@click.group()
def command() -> None:
    """Prove the ledger, or write out what was charged."""


@contextmanager
def _opened() -> Iterator[tuple[Settings, Database, Database]]:
    chosen = settings.load(os.environ)
    db = open_database(chosen, migrate=False)
    try:
        log_db = open_logs(chosen, db)
        try:
            yield chosen, db, log_db
        finally:
            if log_db is not db:
                log_db.close()
    finally:
        db.close()


@command.command()
@as_json
def verify(json_: bool) -> None:
    """Compare users, keys, channels, plans and log rows with the ledger; 1 as exit code when they differ."""
    with _opened() as (chosen, db, log_db):
        result = proof.verify(db, log_db, chosen.data / "journal")
    if json_:
        print_json({**dataclasses.asdict(result), "agrees": result.agrees})
    else:
        _tell(result)
    if not result.agrees:
        raise SystemExit(_DIFFERS)


def _tell(result: proof.Proof) -> None:
    click.echo(
        f"{result.calls} calls, {result.charged} units; {result.users} users, {result.tokens} keys,"
        f" {result.channels} channels, {result.plans} plans compared"
    )
    if result.waiting:
        click.echo(f"{result.waiting} calls lie in journals; what is not yet in the database follows by itself")
    if result.open:
        click.echo(f"{result.open} calls are being served, or died with their worker and are booked by the next")
    if result.lost:
        click.echo(f"{result.lost} of {result.served} calls were served and not booked; the log names them")
    if result.refused:
        click.echo(f"{result.refused} calls could not be booked and lie in journal/refused.jsonl")
    for heading, listed in (("differs", result.differences), ("differed before the first charge", result.older)):
        for entry in listed:
            click.echo(
                f"{heading}: {entry.holder} {entry.id}: {entry.what} is {entry.found}, expected {entry.expected}"
            )
    if result.agrees:
        click.echo("all agree")


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    if text is None or text.isdigit():
        return int(text) if text else None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("expected 2026-11-01, 2026-11-01T12:00:00Z or Unix seconds") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp())


@command.command()
@click.option("--from", "start", callback=_moment, help="First moment (UTC unless it says otherwise).")
@click.option("--to", "end", callback=_moment, help="First moment that is not part of it.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of stdout.")
def export(start: int | None, end: int | None, form: str, output: Path | None) -> None:
    """Write the calls of a period, one line each."""
    with _opened() as (_, db, log_db):
        rows = audit.calls(db, log_db, start or 0, end if end is not None else 2**40)
        if output is None:
            exporting.write(rows, sys.stdout, form)
            return
        out: TextIO
        with output.open("w", encoding="utf-8", newline="") as out:
            count = exporting.write(rows, out, form)
    click.echo(f"{count} calls in {output}")
