"""Set channels of the database aside for a while, and have them asked again."""

from __future__ import annotations

import time

import click

from engine.cli._common import FAULTS, as_json, print_json
from engine.cli.key import database
from engine.storage.rows import channels

_LONGEST = 366 * 24 * 60


@click.group()
def command() -> None:
    """Set channels of the database aside for a while, and have them asked again."""


@command.command()
@click.argument("which", type=int)
@click.option("--minutes", type=click.FloatRange(0, _LONGEST, min_open=True), required=True, help="For how long.")
@as_json
def aside(which: int, minutes: float, json_: bool) -> None:
    """Set the channel of the number WHICH aside: no call asks it, on any machine, also where there is no other."""
    _set(which, int(time.time() + 60 * minutes), json_=json_)


@command.command()
@click.argument("which", type=int)
@as_json
def again(which: int, json_: bool) -> None:
    """Have the channel of the number WHICH asked again at once, whatever it was set aside for."""
    _set(which, 0, json_=json_)


def _set(which: int, until: int, *, json_: bool) -> None:
    db = database()
    try:
        done = channels.set_aside(db, which, until)
    finally:
        db.close()
    if json_:
        print_json({"channel": which, "until": until, "done": done})
    elif done:
        words = (
            f"is set aside until {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(until))}" if until else "is asked"
        )
        click.echo(f"channel {which} {words}; all workers know within a second")
    else:
        click.echo(f"there is no channel {which}", err=True)
    if not done:
        raise SystemExit(FAULTS)
