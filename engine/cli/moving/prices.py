"""Prices of another gateway on a database: first the plan, then what of it is taken up."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from engine import settings
from engine.catalogue import price_plan, price_sync
from engine.catalogue.price_plan import FREE, KIND, RISE, Change, PricePlan
from engine.cli._common import OK, Command, as_json, print_json, usage
from engine.releases import checking, publishing
from engine.storage.database import Database, open_database
from engine.storage.rows import options
from engine.transport.egress import Guard
from engine.transport.leg import Pool, default_tls

WAITS = 2
"""Exit code: something waits for a person."""
_WHY = {RISE: "it rises by more than --rise", KIND: "it turns between tokens and calls", FREE: "it would be free"}
_HEAD = ("model", "field", "here", "there", "waits for a person, as")


@click.group()
def command() -> None:
    """Prices of another gateway: what they would change here, and taking them up."""


def _source(function: Command) -> Command:
    for option in (
        click.option(
            "--timeout", type=click.IntRange(1, 30), default=10, show_default=True, help="Seconds to read in."
        ),
        click.option(
            "--rise", type=click.FloatRange(0, 100), required=True, help="What one may rise by itself; 0.2: a fifth."
        ),
        click.option("--url", help="The gateway's address."),
        click.option("--channel", type=int, help="Or the channel whose gateway it is; below 0 a public list."),
    ):
        function = option(function)
    return function


@command.command()
@_source
@as_json
def plan(channel: int | None, url: str | None, rise: float, timeout: int, json_: bool) -> None:
    """What would change, and what of it waits for a person. Nothing is changed.

    Exit code 0: nothing waits; 1: it can't be read; 2: something waits.
    """
    with _site() as (db, pool):
        made, _ = _plan(db, pool, channel, url, rise, timeout)
    _show(made, made.changes, json_=json_)
    if not json_ and made.changes:
        click.echo(f"\nplan {made.digest}\ngatewright prices apply --plan {made.digest} takes up what does not wait")
    raise SystemExit(WAITS if any(change.held for change in made.changes) else OK)


@command.command()
@_source
@click.option("--plan", "digest", required=True, help="The plan that was looked at, as `prices plan` names it.")
@click.option("--agree", multiple=True, help="A model of which a person takes up what waits (may be repeated).")
@as_json
def apply(
    channel: int | None,
    url: str | None,
    rise: float,
    timeout: int,
    digest: str,
    agree: tuple[str, ...],
    json_: bool,
) -> None:
    """Take up what does not wait, and what is agreed to; workers know within a second.

    Exit code 0: all of the plan is taken up; 1: it is another by now, or can't be read; 2: something waits on.
    """
    with _site() as (db, pool):
        made, values = _plan(db, pool, channel, url, rise, timeout)
        done = price_plan.apply(db, values, made, digest, agree, 0)
    _show(made, done, json_=json_)
    left = len({change.model for change in made.changes} - {change.model for change in done})
    if not json_:
        click.echo(f"{len(done)} prices are taken up; {left} models wait")
    raise SystemExit(WAITS if left else OK)


@contextmanager
def _site() -> Iterator[tuple[Database, Pool]]:
    """The database of the settings, knowing what documents pin, and the door to other gateways."""
    chosen = settings.load(os.environ)
    chosen.put_in_force()
    db = open_database(chosen)
    try:
        db.pinned = checking.pinned_of(publishing.ground(db, [path for _, path in chosen.spec_layers]))
        tls = default_tls(verify=False) if chosen.tls_insecure_skip_verify else None
        yield db, Pool(Guard(chosen.egress_allow), tls=tls)
    finally:
        db.close()


def _plan(
    db: Database, pool: Pool, channel: int | None, url: str | None, rise: float, seconds: int
) -> tuple[PricePlan, dict[str, str]]:
    if (channel is None) == (url is None):
        usage("give one of --url and --channel")
    channels, addresses = ([] if channel is None else [channel]), ([] if url is None else [{"base_url": url}])
    values = options.load(db)
    sources = price_sync.sources(db, channels, addresses)
    return price_plan.read(pool, sources, values, rise, seconds), values


def _show(made: PricePlan, changes: Sequence[Change], *, json_: bool) -> None:
    if json_:
        held = sum(bool(change.held) for change in changes)
        listed: list[dict[str, Any]] = [dataclasses.asdict(change) for change in changes]
        answer = {"source": made.source, "plan": made.digest, "changes": listed}
        print_json({**answer, "ready": len(listed) - held, "held": held})
        return
    if not changes:
        click.echo("no price is another")
        return
    rows = [_HEAD, *(_row(change) for change in changes)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD) - 1)]
    for *cells, why in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), why]).rstrip())


def _row(change: Change) -> tuple[str, ...]:
    numbers = ("-" if number is None else f"{number:g}" for number in (change.before, change.after))
    return (_plain(change.model), change.field, *numbers, "; ".join(_WHY[reason] for reason in change.held))


def _plain(text: str) -> str:
    """A name of another's as a terminal may show it."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:80]
