"""Go back to what an earlier release held."""

from __future__ import annotations

import click

from engine.cli.gitops import releases
from engine.cli.gitops._site import site_options


@click.command()
@click.argument("number", type=int)
@click.option("--message", "-m", default="", help="Why.")
@site_options
def command(number: int, message: str, server: str | None, json_: bool) -> None:
    """Go back to what release NUMBER held, as a release of its own."""
    releases.back(number, message, server, json_)
